"""Writes the answers of stories anew: `python -m tests.stories.rewrite [STORY ...]`, all of them where none is named.

Read the difference afterwards, as a clinician would.
"""

import json
import sys

from tests.stories.telling import FOLDERS, HERE, answer, patients, request_of

known = {*FOLDERS, *patients(), *(entry.parent.name for entry in HERE.glob("*/request.json"))}
wanted = set(sys.argv[1:]) or known
if wanted - known:
    sys.exit(f"no such story: {', '.join(sorted(wanted - known))}")
for name in sorted(wanted):
    (HERE / name).mkdir(exist_ok=True)
    text = json.dumps(answer(request_of(name)), indent=1, ensure_ascii=False)
    (HERE / name / "response.json").write_text(text + "\n", encoding="utf-8")
