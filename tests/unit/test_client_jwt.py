"""Trust (S1-S4): whose tokens open the door, and that nothing else does."""

from __future__ import annotations

import base64
import hmac
import json
import math
import time

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import Forbidden, SettingsError, Unauthorized
from cds_service.store.database import Database
from cds_service.trust.client_jwt import ALGORITHMS, Gatekeeper
from cds_service.trust.issuers import Issuer, read
from cds_service.trust.key_sets import KeySets
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


def part(value):
    """Return text, or what JSON makes of it, as a part of a token."""
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")


def forged(algorithm, sign=lambda _: b""):
    """Return a token whose header says one algorithm and whose signature is whatever `sign` makes of it."""
    now = int(time.time())
    claims = {"iss": ISS, "aud": URL, "iat": now, "exp": now + 300, "jti": "x"}
    content = b".".join((part({"alg": algorithm, "typ": "JWT", "kid": "ES384"}), part(claims)))
    return b".".join((content, base64.urlsafe_b64encode(sign(content)).rstrip(b"="))).decode()


def signed(header=None, claims=None):
    """Return a token that is signed, whatever it holds; libraries refuse to sign much of it."""
    content = b".".join((part(header or {"alg": "ES384", "kid": "ES384"}), part({} if claims is None else claims)))
    pair = decode_dss_signature(private_key("ES384", "").sign(content, ec.ECDSA(hashes.SHA384())))
    signature = b"".join(number.to_bytes(48, "big") for number in pair)
    return b".".join((content, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def changed(**claims):
    """Return a signed token that is valid but for some claims."""
    return signed(claims={"iss": ISS, "aud": URL, "iat": NOW, "exp": NOW + 300, "jti": "x", **claims})


def with_the_public_key(content):
    """The classic confusion: HMAC with what everybody knows."""
    return hmac.digest(json.dumps(public_key("ES384")).encode(), content, "sha384")


NOW = int(time.time())


@pytest.fixture(autouse=True, scope="module")
def clock():
    """The tests' tokens are made when pytest collects them, which may be many minutes before they are used."""
    with time_machine.travel(NOW):
        yield


NO_IDS = ("", "\ud800", "a\udfffb", 5, ["a"], {}, True)


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("", "An Authorization header with a bearer token is required"),
        ("Basic abc", "An Authorization header with a bearer token is required"),
        ("Bearer ", "An Authorization header with a bearer token is required"),
        ("Bearer x", "The token is not a JSON Web Token"),
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
        ("Bearer " + token(exp=NOW - 100, iat=NOW - 400), "The token has expired"),
        ("Bearer " + token(exp=None), "The token must have"),
        ("Bearer " + token(iat=NOW + 600), "The token is not valid yet"),
        ("Bearer " + token(iat=None), "The token must have"),
        ("Bearer " + token(jti=None), "The token must have"),
        ("Bearer " + token(nbf=NOW + 600), "The token is not valid yet"),
        ("Bearer " + token(exp=NOW + 10**6), "The token lives longer than this service accepts"),
        *(
            (f"Bearer {changed(**{name: value})}", f"The token's {name} is no time")
            for name in ("exp", "iat", "nbf")
            for value in ("soon", "", str(NOW), [NOW], {}, True, False, -1, 1e300, 10**400, math.inf, math.nan)
        ),
        (f"Bearer {changed(sub=5)}", "The token is not valid"),
        (f"Bearer {changed(iat=NOW + 20, exp=NOW + 10)}", "The token's iat is after its exp"),
        (f"Bearer {changed(iat=NOW + 10.5, exp=NOW + 10)}", "The token's iat is after its exp"),
        *((f"Bearer {changed(jti=value)}", "The token's jti is no text") for value in NO_IDS),
        (f"Bearer {signed('[' * 4000 + ']' * 4000)}", "The token is not a JSON Web Token"),
        (f"Bearer {signed(claims='[' * 4000 + ']' * 4000)}", "The token is not a JSON Web Token"),
        (f"Bearer {signed(claims='[]')}", "The token is not a JSON Web Token"),
        (f"Bearer {signed(claims='1' * 5000)}", "The token is not a JSON Web Token"),
    ],
)
def test_what_does_not_open_the_door(authorization, said):
    """S1, S2, S4: refused in our own words, which hold nothing of the token."""
    words = refused(authorization)
    assert words.startswith(said)
    for piece in authorization.removeprefix("Bearer").split("."):
        assert len(piece) < 10 or piece not in words


def test_leeway_is_given_to_clocks():
    """S2."""
    assert gatekeeper().identify(f"Bearer {token(exp=int(time.time()) - 5, iat=NOW - 300)}", URL)
    assert gatekeeper().identify(f"Bearer {token(iat=int(time.time()) + 10)}", URL)
    now = int(time.time())
    assert gatekeeper().identify(f"Bearer {token(iat=now, exp=now)}", URL)


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


def test_a_token_made_by_hand_opens_the_door_when_nothing_is_odd():
    """Or the tests of odd ones would prove nothing."""
    assert gatekeeper().identify(f"Bearer {changed()}", URL)
    assert gatekeeper().identify(f"Bearer {changed(iat=NOW + 0.5, exp=NOW + 300.5, sub='x', tenant=5)}", URL)


@pytest.mark.parametrize("jti", ["\U0001f600", "a\x00b", " ", "x" * 4000])
def test_any_text_is_the_id_of_a_token(jti):
    """S2."""
    assert gatekeeper().identify(f"Bearer {token(jti=jti)}", URL)


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
ODDER = st.recursive(
    ODD, lambda some: st.lists(some, max_size=2) | st.dictionaries(st.text(max_size=3), some, max_size=2)
)
NAMES = st.sampled_from(["iss", "aud", "exp", "iat", "nbf", "jti", "sub", "tenant"])
HEADERS = st.sampled_from(["kid", "jku", "typ", "crit", "b64", "x"])


@given(st.dictionaries(NAMES, ODDER, min_size=1, max_size=3), st.dictionaries(HEADERS, ODDER, max_size=2))
def test_any_claims_and_headers_open_the_door_or_are_refused(claims, header):
    """B4: whatever a token holds, it is 401, never a defect."""
    now = int(time.time())
    held = {"iss": ISS, "aud": URL, "iat": now, "exp": now + 300, "jti": "x", **claims}
    sent = signed({"alg": "ES384", "kid": "ES384", **header}, held)
    try:
        gatekeeper().identify(f"Bearer {sent}", URL)
    except Unauthorized:
        return
    assert isinstance(held["jti"], str)
    assert held["jti"]
    assert held["iat"] <= held["exp"]


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
        ('[[issuer]]\niss = "a"\njku = "https://[x"', "issuer 1: jku: is not a URL"),
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
