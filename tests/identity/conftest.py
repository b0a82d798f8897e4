"""What tests of acts of two people share."""

import pytest

from backend.identity.callers.permissions import Role
from tests.factories import GUIDANCE, create_collection
from tests.service import Service, Tenant


@pytest.fixture
async def bank(service: Service) -> Tenant:
    """A tenant with two people of each kind that is needed twice, and a collection that asks for approval."""
    tenant = await service.create_tenant()
    for username, role in (("admin2", Role.ADMIN), ("approver2", Role.APPROVER), ("compliance2", Role.COMPLIANCE)):
        await service.add_user(tenant, username, role)
    await create_collection(service, tenant)
    async with service.operator() as acting:
        await acting.grant(tenant.id, GUIDANCE, "read", role=Role.ADMIN)
    return tenant
