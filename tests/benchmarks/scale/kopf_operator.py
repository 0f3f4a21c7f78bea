"""An operator on kopf that does the admission of a job and nothing more: five children, one status. A program of its own.

Its children are rendered beforehand, with PLACEHOLDER for the job's uid and name, so that it renders nothing. It logs one line
`admitted` for each job. It imports nothing of this project: it runs under an interpreter that has kopf.
"""

import json
import os
import ssl
import sys
from pathlib import Path

import aiohttp
import kopf  # pyright: ignore[reportMissingImports]

PLACEHOLDER = "PLACEHOLDER"
GIVEN = json.loads(Path(os.environ["RIVAL_GIVEN"]).read_text()) if "RIVAL_GIVEN" in os.environ else {}


@kopf.on.startup()
async def begin(settings, memo, **_):
    """As quiet as kopf can be; a session like that of any client."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    tls = ssl.create_default_context(cafile=GIVEN["certificate"])
    headers = {"Authorization": f"Bearer {GIVEN['token']}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=32, ssl=tls)
    memo.session = aiohttp.ClientSession(connector=connector, headers=headers)


@kopf.on.create("chexdragon.dev", "v1alpha1", "chextrainingjobs")
async def admit(uid, name, memo, patch, **_):
    """Create the children, then tell the status, which kopf writes."""
    for path, text in GIVEN["children"]:
        body = text.replace(f"{PLACEHOLDER}-uid", uid).replace(PLACEHOLDER.lower(), name)
        async with memo.session.post(GIVEN["server"] + path, data=body) as answer:
            told = await answer.read()
            if answer.status != 201:
                raise kopf.TemporaryError(told.decode()[:300], delay=1)
    patch.status.update(GIVEN["status"])
    print("admitted", name, file=sys.stdout, flush=True)


@kopf.on.cleanup()
async def end(memo, **_):
    """Close the session."""
    await memo.session.close()


if __name__ == "__main__":
    kopf.run(standalone=True, namespaces=[GIVEN["namespace"]])
