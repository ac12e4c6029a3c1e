"""Authorization by 1, 100 and 1,000 policies. Policies are looked at in the order of their names by both proxies: the one
that lets the client in is the last."""
from dataclasses import dataclass
from pathlib import Path

from pair.certs import TRUST
from pair.measure import Effort, measure
from pair.wattle import CLIENT_ALLOWED, NAMESPACE, TRUST_DOMAIN
from pair.world import World

from .varied import ROAD, GuardedEnvoy, GuardedWattle, expect_status, rbac, start

SIZES = (1, 100, 1000)
# Manifests in one file: the control plane reads no more than so many bytes of one.
PER_FILE = 100

POLICY = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: server}}}}
  action: {action}
  rules:
  - from: [{{source: {{principals: ["{trust}/ns/{namespace}/sa/{account}"]}}}}]
    to: [{{operation: {{methods: ["{method}"], paths: ["{path}"]}}}}]
"""


@dataclass(frozen=True)
class Rule:
    """One policy: who may, or may not, do what."""

    name: str
    action: str
    account: str
    method: str
    path: str

    def manifest(self) -> str:
        """As Wattle is told."""
        return POLICY.format(**vars(self), namespace=NAMESPACE, trust=TRUST_DOMAIN)

    def rbac(self) -> dict:
        """As Envoy is told; Istio writes an AuthorizationPolicy so."""
        method = {"name": ":method", "string_match": {"exact": self.method}}
        wanted = [{"header": method}, {"url_path": {"path": {"exact": self.path}}}]
        return {"permissions": [{"and_rules": {"rules": wanted}}],
                "principals": [{"authenticated": {"principal_name": {"exact": f"{TRUST}/{self.account}"}}}]}


@dataclass(frozen=True)
class Case:
    """So many policies of one action."""

    action: str
    count: int

    @property
    def name(self) -> str:
        """Short."""
        return f"{self.action.lower()}-{self.count}"

    def rules(self) -> list[Rule]:
        """ALLOW: other clients with other methods and paths, and at last the client. DENY: the client itself, by other
        paths, so that nothing but the path tells that a policy does not match."""
        if self.action == "DENY":
            return [Rule(f"d{i:04}", "DENY", "client", "GET", f"/denied/{i:04}") for i in range(self.count)]
        others = [Rule(f"p{i:04}", "ALLOW", f"other-{i:04}", "PUT", f"/other/{i:04}") for i in range(self.count - 1)]
        return [*others, Rule(f"p{self.count - 1:04}", "ALLOW", "client", "GET", "/")]


class Authorization:
    """The part of the benchmark about policies."""

    name = "authorization"

    def prepare(self, _folder: Path, _quick: bool) -> dict:
        """Nothing is needed."""
        return {}

    def cases(self) -> list[Case]:
        """In the order of the table."""
        return [Case(action, count) for action in ("ALLOW", "DENY") for count in SIZES]

    def adapters(self, case: Case, binaries: dict[str, str]) -> list:
        """The pairs that have these policies."""
        made = {"envoy": lambda binary: GuardedEnvoy(binary, filters(case)),
                "wattle": lambda binary: GuardedWattle(binary, files(case))}
        return [made[name](binary) for name, binary in binaries.items()]

    def work(self, world: World, adapter, case: Case, certs: Path, effort: Effort) -> dict[str, float]:
        """CPU of both proxies for each request, after it was seen that policies are in force."""
        start(world, adapter, certs)
        expect_status(world, "/", 200)
        rules = case.rules()
        refused = {rules[0].path, rules[-1].path} if case.action == "DENY" else {"/elsewhere"}
        for path in refused:
            expect_status(world, path, 403)
        return measure(world, ROAD, effort)


def files(case: Case) -> list[str]:
    """Wattle's manifests; beside DENY policies stands the ALLOW policy of the pair."""
    texts = [rule.manifest() for rule in case.rules()]
    made = ["".join(texts[at:at + PER_FILE]) for at in range(0, len(texts), PER_FILE)]
    return [CLIENT_ALLOWED, *made] if case.action == "DENY" else made


def filters(case: Case) -> list[dict]:
    """Envoy's filters: DENY before ALLOW, as Istio has them."""
    policies = {rule.name: rule.rbac() for rule in case.rules()}
    if case.action == "ALLOW":
        return [rbac("ALLOW", policies)]
    client = [{"authenticated": {"principal_name": {"exact": f"{TRUST}/client"}}}]
    return [rbac("DENY", policies), rbac("ALLOW", {"client": {"permissions": [{"any": True}], "principals": client}})]
