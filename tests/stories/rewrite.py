"""Writes the answer of every story anew: `python -m tests.stories.rewrite`, then read the difference."""

import json

from tests.stories.telling import FOLDERS, HERE, answer, patients, request_of

for name in sorted({*FOLDERS, *patients(), *(entry.parent.name for entry in HERE.glob("*/request.json"))}):
    (HERE / name).mkdir(exist_ok=True)
    text = json.dumps(answer(request_of(name)), indent=1, ensure_ascii=False)
    (HERE / name / "response.json").write_text(text + "\n", encoding="utf-8")
