"""The attributes a SCIM server knows, and how it publishes them.

A part of RFC 7643: what directories use of User, Group and the enterprise extension. Everything
else about the server (checks, filters, patches) is driven by these tables.
Source: RFC 7643, §4, §7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .wire import Document

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
PROVIDER = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `parts` are the sub-attributes of a complex one.

    many: a list of values. exact: texts compare with regard to case. refers: resource types.
    """

    name: str
    kind: str = "string"
    text: str = ""
    many: bool = False
    required: bool = False
    exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    uniqueness: str = "none"
    refers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    parts: tuple[Attribute, ...] = field(default=())

    def published(self) -> Document:
        """Give the attribute as the schemas endpoint shows it."""
        shown: Document = {
            "name": self.name,
            "type": self.kind,
            "multiValued": self.many,
            "description": self.text or self.name,
            "required": self.required,
            "mutability": self.mutability,
            "returned": self.returned,
        }
        if self.kind in {"string", "reference"}:
            shown |= {"caseExact": self.exact, "uniqueness": self.uniqueness}
        if self.refers:
            shown["referenceTypes"] = list(self.refers)
        if self.words:
            shown["canonicalValues"] = list(self.words)
        if self.parts:
            shown["subAttributes"] = [each.published() for each in self.parts]
        return shown


def _values(name: str, *words: str) -> Attribute:
    parts = (
        Attribute("value"),
        Attribute("display"),
        Attribute("type", words=words),
        Attribute("primary", "boolean"),
    )
    return Attribute(name, "complex", many=True, parts=parts)


def _link(name: str, mutability: str, *refers: str) -> Attribute:
    own = "readOnly" if mutability == "readOnly" else "readWrite"
    parts = (
        Attribute("value", exact=True, mutability=mutability),
        Attribute("$ref", "reference", exact=True, mutability=mutability, refers=refers),
        Attribute("display", mutability=own),
        Attribute("type", mutability=mutability, words=refers),
    )
    return Attribute(name, "complex", many=True, mutability=own, parts=parts)


SCHEMAS: Mapping[str, tuple[str, tuple[Attribute, ...]]] = {
    USER: (
        "User",
        (
            Attribute(
                "userName",
                text="How the user signs in, compared without regard to case",
                required=True,
                uniqueness="server",
            ),
            Attribute(
                "name",
                "complex",
                parts=(Attribute("formatted"), Attribute("familyName"), Attribute("givenName")),
            ),
            Attribute("displayName"),
            Attribute("title"),
            Attribute("locale"),
            Attribute("active", "boolean"),
            _values("emails", "work", "home", "other"),
            _values("phoneNumbers", "work", "home", "mobile", "other"),
            _link("groups", "readOnly", "Group"),
        ),
    ),
    GROUP: (
        "Group",
        (
            Attribute("displayName", required=True),
            _link("members", "immutable", "User", "Group"),
        ),
    ),
    ENTERPRISE: (
        "EnterpriseUser",
        (
            Attribute("employeeNumber"),
            Attribute("costCenter"),
            Attribute("organization"),
            Attribute("division"),
            Attribute("department"),
            Attribute(
                "manager",
                "complex",
                parts=(
                    Attribute("value", required=True, exact=True),
                    Attribute("$ref", "reference", required=True, exact=True, refers=("User",)),
                    Attribute("displayName", mutability="readOnly"),
                ),
            ),
        ),
    ),
}
# What every resource has beside its own attributes; no schema lists them.
COMMON = (
    Attribute("schemas", "reference", many=True, exact=True, returned="always"),
    Attribute("id", exact=True, mutability="readOnly", returned="always"),
    Attribute("externalId", exact=True),
    Attribute(
        "meta",
        "complex",
        mutability="readOnly",
        parts=(
            Attribute("resourceType", exact=True, mutability="readOnly"),
            Attribute("created", "dateTime", mutability="readOnly"),
            Attribute("lastModified", "dateTime", mutability="readOnly"),
            Attribute("location", "reference", exact=True, mutability="readOnly"),
            Attribute("version", exact=True, mutability="readOnly"),
        ),
    ),
)
TYPES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "Users": ("User", USER, (ENTERPRISE,)),
    "Groups": ("Group", GROUP, ()),
}
_SHAPES = {"boolean": bool, "complex": dict, "integer": int}


class Wrong(ValueError):
    """A value or path does not fit the schema; kind: the scimType of RFC 7644, §3.12."""

    def __init__(self, text: str, kind: str = "invalidValue") -> None:
        super().__init__(text)
        self.kind = kind


def attributes_of(place: str) -> tuple[Attribute, ...]:
    """Give what a resource of an endpoint may have: common, core, and extensions as complex."""
    _, core, extensions = TYPES[place]
    more = tuple(Attribute(urn, "complex", parts=SCHEMAS[urn][1]) for urn in extensions)
    return (*COMMON, *SCHEMAS[core][1], *more)


def named(attributes: tuple[Attribute, ...], name: str) -> Attribute | None:
    """Find an attribute by name, without regard to case."""
    return next((each for each in attributes if each.name.lower() == name.lower()), None)


def checked(place: str, wanted: Document) -> Document:
    """Give what of a sent resource counts, under the schema's own spelling.

    Read-only attributes are left out, as RFC 7644, §3.5.1 has it. Raises Wrong.
    """
    _, core, _ = TYPES[place]
    schemas = wanted.get("schemas")
    if not isinstance(schemas, list) or core not in schemas:
        text = f"schemas must hold {core}"
        raise Wrong(text, "invalidSyntax")
    found = _members(attributes_of(place), wanted, path="")
    for attribute in attributes_of(place):
        if attribute.required and not found.get(attribute.name):
            text = f"{attribute.name} is required"
            raise Wrong(text)
    return found


def _members(attributes: tuple[Attribute, ...], wanted: Document, *, path: str) -> Document:
    found: Document = {}
    for name, value in wanted.items():
        if name == "schemas" and path:
            continue  # some clients name the schema again inside an extension
        attribute = named(attributes, name)
        if attribute is None:
            text = f"{path}{name} is not an attribute of the schema"
            raise Wrong(text, "invalidSyntax")
        if attribute.mutability == "readOnly" or value in (None, [], {}):
            continue
        found[attribute.name] = fitting(attribute, value)
    return found


def fitting(attribute: Attribute, value: object) -> object:
    """Give a value as the schema has it; raises Wrong where it is of another type."""
    if attribute.many:
        values = value if isinstance(value, list) else [value]
        fitted = [_one(attribute, each) for each in values]
        if sum(isinstance(each, dict) and each.get("primary") is True for each in fitted) > 1:
            text = f"{attribute.name} has more than one primary value"
            raise Wrong(text)
        return fitted
    return _one(attribute, value)


def _one(attribute: Attribute, value: object) -> object:
    if not isinstance(value, _SHAPES.get(attribute.kind, str)):
        text = f"{attribute.name} must be of type {attribute.kind}"
        raise Wrong(text)
    if isinstance(value, dict):
        return _members(attribute.parts, value, path=f"{attribute.name}.")
    return value


def published_schema(urn: str, base: str) -> Document:
    """Give one schema as its endpoint shows it."""
    name, attributes = SCHEMAS[urn]
    return {
        "schemas": [SCHEMA],
        "id": urn,
        "name": name,
        "description": name,
        "attributes": [each.published() for each in attributes],
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
    }


def published_type(place: str, base: str) -> Document:
    """Give one resource type as its endpoint shows it."""
    name, core, extensions = TYPES[place]
    return {
        "schemas": [RESOURCE_TYPE],
        "id": name,
        "name": name,
        "description": name,
        "endpoint": f"/{place}",
        "schema": core,
        "schemaExtensions": [{"schema": urn, "required": False} for urn in extensions],
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
    }
