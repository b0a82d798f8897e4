"""What SCIM's door can do, and which resources it has: the same for every provider."""

from typing import Annotated, Any

from fastapi import Path
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Meta,
    Pagination,
    Patch,
    Reference,
    Resource,
    ResourceType,
    Schema,
    ServiceProviderConfig,
    Sort,
)

from backend.errors import NotFound
from backend.gateways.front_door import DoorRouter
from backend.gateways.scim.description import dumped, page_of, shows
from backend.gateways.scim.errors import PREFIX, RESPONSES, NotOffered
from backend.gateways.scim.resources import Group, User
from backend.gateways.scim.responses import MOST_RESULTS, ScimResponse
from backend.gateways.scim.route import Provider, ScimRoute
from backend.provided import Provided
from backend.settings import Settings

router = DoorRouter(
    prefix=PREFIX, tags=["scim"], route_class=ScimRoute, responses=RESPONSES, default_response_class=ScimResponse
)

Named = Annotated[str, Path(max_length=100, description="How the kind, or its schema, is called.")]

_KINDS: tuple[tuple[type[Resource[Any]], str, str], ...] = (
    (User, "User", "People who sign in through the provider."),
    (Group, "Group", "Groups of them, some of which stand for a role."),
)


def _config() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True), bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST_RESULTS), change_password=ChangePassword(supported=False),
        sort=Sort(supported=False), etag=ETag(supported=False),
        pagination=Pagination(cursor=False, index=True, default_page_size=MOST_RESULTS, max_page_size=MOST_RESULTS),
        authentication_schemes=[
            AuthenticationScheme(
                type="oauthbearertoken", name="Bearer", description="A bearer that the operator made for the provider.",
                spec_uri=Reference("https://www.rfc-editor.org/info/rfc6750"), primary=True,
            )
        ],
    )  # fmt: skip


def _type(name: str, description: str, kind: type[Resource[Any]]) -> ResourceType:
    return ResourceType(
        id=name,
        name=name,
        description=description,
        endpoint=Reference(f"/{name}s"),
        schema_=Reference(str(kind.__schema__)),
    )


def _schema(name: str, description: str, kind: type[Resource[Any]]) -> Schema:
    schema = kind.to_schema()
    schema.name, schema.description = name, description
    return schema


_TYPES = {name: _type(name, description, kind) for kind, name, description in _KINDS}
_SCHEMAS = {str(kind.__schema__): _schema(name, description, kind) for kind, name, description in _KINDS}


def _placed(resource: Any, kind: str, settings: Settings) -> Any:  # noqa: ANN401 - a resource of the library
    where = f"{settings.public_url}{PREFIX}/{kind}" + (f"/{resource.id}" if resource.id else "")
    placed = resource.model_copy()
    placed.meta = Meta(resource_type=type(resource).__name__, location=Reference(where))
    return placed


@router.get("/ServiceProviderConfig", summary="What this door can do", responses=shows(dumped(_config())))
async def get_config(settings: Provided[Settings], caller: Provider) -> ScimResponse:  # noqa: ARG001 - whoever may provision
    """Returns which parts of SCIM 2.0 are served."""
    return ScimResponse(dumped(_placed(_config(), "ServiceProviderConfig", settings)))


@router.get(
    "/ResourceTypes", summary="Kinds of resources", responses=shows(page_of(ResourceType, list(_TYPES.values())))
)
async def list_resource_types(settings: Provided[Settings], caller: Provider) -> ScimResponse:  # noqa: ARG001 - as above
    """Returns users and groups, and where they are."""
    placed = [_placed(known, "ResourceTypes", settings) for known in _TYPES.values()]
    return ScimResponse(page_of(ResourceType, placed))


@router.get("/ResourceTypes/{resource_type}", summary="One kind of resources", responses=shows(dumped(_TYPES["User"])))
async def get_resource_type(resource_type: Named, settings: Provided[Settings], caller: Provider) -> ScimResponse:  # noqa: ARG001 - as above
    """Returns `User` or `Group`."""
    return ScimResponse(dumped(_placed(_known(_TYPES, resource_type), "ResourceTypes", settings)))


@router.get("/Schemas", summary="Schemas", responses=shows(page_of(Schema, list(_SCHEMAS.values()))))
async def list_schemas(settings: Provided[Settings], caller: Provider) -> ScimResponse:  # noqa: ARG001 - as above
    """Returns the attributes of users and groups that are kept. What else is sent is taken and dropped."""
    placed = [_placed(known, "Schemas", settings) for known in _SCHEMAS.values()]
    return ScimResponse(page_of(Schema, placed))


@router.get("/Schemas/{schema}", summary="One schema", responses=shows(dumped(_SCHEMAS[str(User.__schema__)])))
async def get_schema(schema: Named, settings: Provided[Settings], caller: Provider) -> ScimResponse:  # noqa: ARG001 - as above
    """Returns the attributes of users or of groups."""
    return ScimResponse(dumped(_placed(_known(_SCHEMAS, schema), "Schemas", settings)))


@router.post("/.search", include_in_schema=False)
async def search_everything(caller: Provider) -> ScimResponse:  # noqa: ARG001 - as above
    """Is not served: ask for users, or for groups. Always 501."""
    raise NotOffered


def _known(among: dict[str, Any], named: str) -> Any:  # noqa: ANN401 - a resource of the library
    if named not in among:
        raise NotFound(reason="scim:discovery")
    return among[named]
