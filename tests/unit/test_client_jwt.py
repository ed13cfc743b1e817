"""Trust (S1-S4): whose tokens open the door, and that nothing else does."""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest
import requests
import responses

from cds_service.errors import Forbidden, SettingsError, Unauthorized
from cds_service.store.database import Database
from cds_service.trust.client_jwt import ALGORITHMS, Gatekeeper
from cds_service.trust.issuers import Issuer, read
from cds_service.trust.key_sets import REFRESH_SECONDS, RETRY_SECONDS, STALE_SECONDS, KeySets
from tests.tokens import BASE, ISS, JKU, URL, private_key, public_key, token

KEYS = [public_key(algorithm) for algorithm in ("ES256", "ES384", "RS256", "RS384", "RS512", "PS384")]


class Once:
    """Remembers used tokens in memory."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()

    def __call__(self, issuer: str, token_id: str, _: int, __: int) -> bool:
        first = (issuer, token_id) not in self.used
        self.used.add((issuer, token_id))
        return first


def gatekeeper(*issuers, key_sets=None, audiences=()):
    trusted = issuers or (Issuer(ISS, keys=tuple(KEYS)),)
    return Gatekeeper({i.iss: i for i in trusted}, key_sets or KeySets(), Once(), audiences)


def refused(authorization, keeper=None, kind=Unauthorized, service="dry-needling-order-select"):
    with pytest.raises(kind) as refusal:
        (keeper or gatekeeper()).identify(authorization, URL, service)
    return str(refusal.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_allowed_algorithm_opens_the_door(algorithm):
    """S1."""
    assert gatekeeper().identify(f"Bearer {token(algorithm)}", URL).issuer == ISS


@pytest.mark.parametrize("kid", ["a+b/c=", "1", "x" * 200])
def test_any_text_is_a_key_id(kid):
    """V6."""
    keeper = gatekeeper(Issuer(ISS, keys=(public_key("ES384", kid),)))
    assert keeper.identify(f"bearer {token(header={'kid': kid})}", URL)


@pytest.mark.parametrize("aud", [URL, [URL], ["https://other.example.org", URL]])
def test_the_audience_is_text_or_a_list(aud):
    """S2."""
    assert gatekeeper().identify(f"Bearer {token(aud=aud)}", URL)


def test_a_registered_audience_is_accepted_beside_the_url():
    """V6: as the site typed it."""
    registered = "https://cds.example.org/cds-services/"
    keeper = gatekeeper(audiences=[registered])
    assert keeper.identify(f"Bearer {token(aud=registered)}", URL)


def forged(algorithm, sign=lambda _: b""):
    """Return a token whose header says one algorithm and whose signature is whatever `sign` makes of it."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    now = int(time.time())
    claims = {"iss": ISS, "aud": URL, "iat": now, "exp": now + 300, "jti": "x"}
    header = {"alg": algorithm, "typ": "JWT", "kid": "ES384"}
    content = b".".join(part(json.dumps(value).encode()) for value in (header, claims))
    return b".".join((content, part(sign(content)))).decode()


def with_the_public_key(content):
    """The classic confusion: HMAC with what everybody knows."""
    return hmac.digest(json.dumps(public_key("ES384")).encode(), content, "sha384")


NOW = int(time.time())


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("", "An Authorization header with a bearer token is required"),
        ("Basic abc", "An Authorization header with a bearer token is required"),
        ("Bearer ", "An Authorization header with a bearer token is required"),
        ("Bearer x", "The token is no JSON Web Token"),
        ("Bearer " + "x" * 20_000, "The token is longer than this service accepts"),
        ("Bearer " + forged("none"), "The token's alg must be one of"),
        ("Bearer " + forged("HS256", lambda _: b"x" * 32), "The token's alg must be one of"),
        ("Bearer " + forged("HS384", with_the_public_key), "The token's alg must be one of"),
        ("Bearer " + forged("ES384", lambda _: b"x" * 96), "The token's signature does not fit its content"),
        ("Bearer " + token(name="another"), "The token's signature does not fit its content"),
        ("Bearer " + token("RS256", header={"kid": "ES384"}), "No key of the issuer fits the token's kid and alg"),
        ("Bearer " + token("ES256", header={"kid": "ES384"}), "No key of the issuer fits the token's kid and alg"),
        ("Bearer " + token(header={"kid": "unknown"}), "No key of the issuer fits the token's kid and alg"),
        ("Bearer " + token(header={"kid": None}), "The token names no kid"),
        ("Bearer " + token(iss="https://evil.example.org"), "The token's iss is not trusted"),
        ("Bearer " + token(iss=None), "The token's iss is not trusted"),
        ("Bearer " + token(aud=URL + "/"), "The token's aud is not the URL of this endpoint"),
        (
            "Bearer " + token(aud=BASE + "/cds-services"),
            "The token's aud is not the URL of this endpoint",
        ),
        ("Bearer " + token(aud=None), "The token must have"),
        ("Bearer " + token(exp=NOW - 100), "The token has expired"),
        ("Bearer " + token(exp=None), "The token must have"),
        ("Bearer " + token(iat=NOW + 600), "The token is not valid yet"),
        ("Bearer " + token(iat=None), "The token must have"),
        ("Bearer " + token(jti=None), "The token must have"),
        ("Bearer " + token(nbf=NOW + 600), "The token is not valid yet"),
        ("Bearer " + token(exp=NOW + 10**6), "The token lives longer than this service accepts"),
        ("Bearer " + token(exp="soon"), "The token is not valid"),
        ("Bearer " + token(iat="now"), "The token's iat is no time"),
    ],
)
def test_what_does_not_open_the_door(authorization, said):
    """S1, S2, S4: refused in our own words, which hold nothing of the token."""
    words = refused(authorization)
    assert words.startswith(said)
    for part in authorization.removeprefix("Bearer").split("."):
        assert len(part) < 10 or part not in words


def test_leeway_is_given_to_clocks():
    """S2."""
    assert gatekeeper().identify(f"Bearer {token(exp=int(time.time()) - 5, iat=NOW - 300)}", URL)
    assert gatekeeper().identify(f"Bearer {token(iat=int(time.time()) + 10)}", URL)


def test_a_token_is_accepted_once():
    """S2."""
    keeper, said = gatekeeper(), f"Bearer {token()}"
    keeper.identify(said, URL)
    assert refused(said, keeper) == "The token was used before"


def test_a_key_for_another_use_or_algorithm_and_a_broken_key_do_not_fit():
    for change in ({"use": "enc"}, {"alg": "ES256"}, {"crv": "P-999"}, {"kty": "oct", "k": "AAAA"}):
        keeper = gatekeeper(Issuer(ISS, keys=({**public_key("ES384"), **change},)))
        assert refused(f"Bearer {token()}", keeper) == "No key of the issuer fits the token's kid and alg"


def test_the_second_key_of_the_same_id_may_fit():
    keeper = gatekeeper(Issuer(ISS, keys=(public_key("ES384", name="old"), public_key("ES384"))))
    assert keeper.identify(f"Bearer {token()}", URL)


def test_a_client_that_is_not_allowed_is_forbidden():
    """S4: 403 for a valid token."""
    keeper = gatekeeper(Issuer(ISS, keys=tuple(KEYS), services=("another-service",)))
    assert refused(f"Bearer {token()}", keeper, Forbidden) == "This client may not call this service"
    assert keeper.identify(f"Bearer {token()}", URL)  # discovery names no service


# ---------------------------------------------------------------- key sets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def published():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def test_keys_are_fetched_from_the_configured_url_once(published):
    """S3."""
    published.get(JKU, json={"keys": KEYS})
    keeper = gatekeeper(Issuer(ISS, (JKU,)))
    for header in ({}, {"jku": JKU}, {}):
        keeper.identify(f"Bearer {token(header=header)}", URL)
    assert len(published.calls) == 1


def test_a_jku_that_only_the_token_names_is_never_fetched(published):
    """S3: an SSRF, and a door for whoever signs."""
    evil = "https://evil.example.org/jwks.json"
    published.get(evil, json={"keys": KEYS})
    keeper = gatekeeper(Issuer(ISS, (JKU,)))
    assert refused(f"Bearer {token(header={'jku': evil})}", keeper) == "The token's jku is not one of the issuer's"
    assert len(published.calls) == 0


def test_an_issuer_may_have_several_key_sets(published):
    """Some vendors sign for many tenants with one issuer."""
    published.get(JKU, json={"keys": [public_key("RS256")]})
    published.get(JKU + "?2", json={"keys": [public_key("ES384")]})
    keeper = gatekeeper(Issuer(ISS, (JKU, JKU + "?2")))
    assert keeper.identify(f"Bearer {token()}", URL)


def test_an_unknown_key_id_refreshes_at_most_once_a_minute(published):
    """S3: a rotated key is found, a flood of unknown ids is not passed on."""
    clock = Clock()
    sets = KeySets(clock)
    published.get(JKU, json={"keys": [public_key("ES384", "old")]})
    assert sets.keys(JKU, "old")
    published.replace("GET", JKU, json={"keys": [public_key("ES384", "new")]})
    for _ in range(20):
        assert sets.keys(JKU, "new") == []
    assert len(published.calls) == 1
    clock.now += RETRY_SECONDS + 1
    assert sets.keys(JKU, "new")
    assert len(published.calls) == 2


def test_a_key_set_is_renewed_and_outlives_its_url_for_a_day_only(published):
    clock = Clock()
    sets = KeySets(clock)
    published.get(JKU, json={"keys": [public_key("ES384", "k")]})
    assert sets.keys(JKU, "k")
    published.replace("GET", JKU, status=500)
    clock.now += REFRESH_SECONDS + 1
    assert sets.keys(JKU, "k")  # asked for again in vain, still known
    assert len(published.calls) == 2
    clock.now += STALE_SECONDS
    assert sets.keys(JKU, "k") == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 302, "headers": {"Location": "https://evil.example.org"}},
        {"body": "{"},
        {"json": []},
        {"json": {"keys": {}}},
        {"json": {"keys": ["x"]}},
        {"body": b" " * 300_000},
        {"body": ConnectionError()},
        {"body": requests.ConnectTimeout()},
    ],
)
def test_a_key_set_that_cannot_be_had_never_opens_the_door(answer, published):
    """S3."""
    if isinstance(answer.get("body"), ConnectionError):
        answer = {}
        url = "https://elsewhere.example.org/jwks.json"
    else:
        url = JKU
        published.get(JKU, **answer)
    keeper = gatekeeper(Issuer(ISS, (url,)))
    assert refused(f"Bearer {token()}", keeper) == "No key of the issuer fits the token's kid and alg"


# ---------------------------------------------------------------- the database's address


@pytest.mark.parametrize("url", ["nosuch://user:secret@host/db", "mysql://u:secret@h/d", "user:secret@host"])
def test_a_database_that_cannot_be_opened_is_told_without_its_password(url):
    with pytest.raises(SettingsError, match="the database cannot be opened") as refused:
        Database(url)
    assert "secret" not in str(refused.value)


# ---------------------------------------------------------------- the issuers file


def test_the_issuers_file(tmp_path):
    path = tmp_path / "issuers.toml"
    path.write_text(
        f"""
        [[issuer]]
        iss = "{ISS}"
        jku = "{JKU}"

        [[issuer]]
        iss = "https://other.example.org"
        services = ["dry-needling-order-sign"]
        jwks = {{ keys = [{{ kty = "EC", kid = "1" }}] }}
        """,
        encoding="utf-8",
    )
    found = read(path)
    assert found[ISS].jku == (JKU,)
    assert found["https://other.example.org"].services == ("dry-needling-order-sign",)
    assert found["https://other.example.org"].keys == ({"kty": "EC", "kid": "1"},)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "is not TOML"),
        ("", "write at least one [[issuer]]"),
        ("[issuer]", "write at least one [[issuer]]"),
        ('[[issuer]]\niss = ""', "issuer 1: iss: must be text"),
        ('[[issuer]]\niss = "a"\nname = "b"', "issuer 1: name: there is no such key"),
        ('[[issuer]]\niss = "a"', "issuer 1: give either jku or jwks"),
        ('[[issuer]]\niss = "a"\njku = 5', "issuer 1: jku: must be text or a list of texts"),
        ('[[issuer]]\niss = "a"\njku = "http://ehr.example.org/k"', "issuer 1: jku: must be an https URL"),
        ('[[issuer]]\niss = "a"\njku = "https://[x"', "issuer 1: jku: is no URL"),
        ('[[issuer]]\niss = "a"\njwks = 5', "issuer 1: jwks: must be a JSON Web Key Set"),
        ('[[issuer]]\niss = "a"\njwks = {keys = [5]}', "issuer 1: jwks: must be a JSON Web Key Set"),
        (
            '[[issuer]]\niss = "a"\njku = "https://a.org"\n[[issuer]]\niss = "a"\njku = "https://b.org"',
            "an iss is written twice",
        ),
    ],
)
def test_a_wrong_issuers_file_is_refused_by_entry_and_key(text, said, tmp_path):
    path = tmp_path / "issuers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as wrong:
        read(path)
    assert said in str(wrong.value)


def test_an_issuers_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read(tmp_path / "nowhere.toml")


def test_keys_are_not_shown_when_an_issuer_is_printed():
    assert "kty" not in repr(Issuer(ISS, keys=(public_key("ES384"),)))
    assert private_key("ES384") is private_key("ES384")
