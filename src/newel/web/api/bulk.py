"""One verb on many runs over HTTP, and how far it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, get_args

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from newel.base.errors import InvalidInput
from newel.base.ids import reference
from newel.engine.bulk import Item, Verb
from newel.web.auth import KnownCaller, acting
from newel.web.documents import read_members, text_of
from newel.web.site import named, site_of

__all__ = ["router"]

router = APIRouter(tags=["runs"])

_VERBS: Final = get_args(Verb)
_BODY: Final[dict[str, Any]] = {  # Any: OpenAPI
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["verb", "items"],
                    "properties": {
                        "verb": {"enum": list(_VERBS)},
                        "items": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["run"],
                                "properties": {
                                    "run": {"type": "string"},
                                    "key": {"type": "string"},
                                },
                            },
                        },
                        "reason": {"type": "string"},
                        "actor": {"type": "string"},
                    },
                }
            }
        },
    }
}


@router.post("/bulk", status_code=202, openapi_extra=_BODY)
async def bulk(request: Request, caller: KnownCaller) -> JSONResponse:
    """Carry out one verb on a frozen list of runs; the report says what became of each."""
    members = await read_members(request, "verb", "items", "reason", "actor")
    verb = text_of(members, "verb")
    if verb not in _VERBS:
        raise InvalidInput({"verb": f"is none of {', '.join(_VERBS)}"})
    run = await site_of(request).engine.bulk(
        verb,  # type: ignore[arg-type]  # one of the verbs, as was just checked
        _items(members.get("items")),
        actor=await acting(request, caller, members),
        reason=text_of(members, "reason", otherwise=""),
    )
    href = f"/api/v1/bulk/{reference('run', run)}"
    answer = {"run": reference("run", run), "href": href}
    return JSONResponse(answer, 202, headers={"Location": href})


def _items(given: object) -> list[Item]:
    if not isinstance(given, list):
        raise InvalidInput({"items": "must be a list"})
    items: list[Item] = []
    wrong: dict[str, str] = {}
    for place, each in enumerate(given):
        match each:
            case {"run": str(run), **rest} if not rest:
                items.append(Item(run=run))
            case {"run": str(run), "key": str(key), **rest} if not rest:
                items.append(Item(run=run, key=key))
            case _:
                wrong[f"items.{place}"] = "must name a run, and perhaps a key"
    if wrong:
        raise InvalidInput(wrong)
    return items


@router.get("/bulk/{run}")
async def report(request: Request, run: str, caller: KnownCaller) -> dict[str, Any]:
    """Say how far a bulk action is, item by item."""
    del caller
    return asdict(await site_of(request).engine.bulk_report(named("run", run)))
