"""Floor B: a bare Flask application that parses the same body with the standard library and returns a fixed card."""

import json

from flask import Flask, request

app = Flask(__name__)
_CARD = {"summary": "fixed", "indicator": "info", "source": {"label": "floor"}}


@app.post("/cds-services/<service_id>")
def fixed_card(service_id: str) -> dict[str, object]:
    """Parse and answer."""
    json.loads(request.get_data())
    return {"cards": [_CARD]}
