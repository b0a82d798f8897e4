"""Routes that answer nobody of a tenant with 2xx, and why."""

OPERATOR = "The operator's own credential opens it, and nobody's of a tenant."
NEVER = {
    "GET /auth/oidc/{tenant}/login": "It leads a browser to the tenant's provider, and this tenant has none.",
    "GET /auth/oidc/callback": "The provider sends a browser here with a code, and it goes on from here.",
    "GET /oauth/authorize": "It leads a browser to the page on which a person agrees, by a redirect.",
    "POST /oauth/token": "It takes a code that a person gave to a program, whoever else asks.",
    "POST /oauth/register": "The operator has not let programs register themselves.",
    "GET /audit/archives/{month}": "No month of this log is so old that it has left it.",
    "DELETE /v1/responses/{response_id}": "Answers are evidence, which nobody deletes.",
    "DELETE /v1/vector_stores/{store_id}/files/{file}": "Documents are evidence, which nobody deletes.",
    "GET /operator/state": OPERATOR,
    "GET /operator/tenants": OPERATOR,
    "POST /operator/tenants": OPERATOR,
    "GET /operator/tenants/{slug}": OPERATOR,
    "PATCH /operator/tenants/{slug}": OPERATOR,
    "DELETE /operator/tenants/{slug}": OPERATOR,
    "PUT /operator/tenants/{slug}/domains/{domain}": OPERATOR,
    "DELETE /operator/tenants/{slug}/domains/{domain}": OPERATOR,
    "POST /operator/tenants/{slug}/suspend": OPERATOR,
    "POST /operator/tenants/{slug}/resume": OPERATOR,
}
