"""HealthChain's CDS Hooks service with a hook that does nothing; run by an interpreter that has it (`make bench`)."""

from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.gateway.cds import CDSHooksConfig
from healthchain.models import CDSRequest, CDSResponse

service = CDSHooksService(CDSHooksConfig(base_path="", discovery_path="/cds-services"))


@service.hook("order-select", id="dry-needling-order-select")
def select(_: CDSRequest) -> CDSResponse:
    """Answer no card."""
    return CDSResponse(cards=[])


app = HealthChainAPI()
app.register_service(service, path="")
