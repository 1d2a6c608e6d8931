"""Cross-origin requests to the gateway: what a page of another origin may do."""

import json
from pathlib import Path

import pytest
import stub_project
from stub_project import Client

OWN, OTHER = "https://a.example", "https://b.example"

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def cors_headers(answer: stub_project.Answer) -> dict[str, str]:
    """Returns the CORS headers of a response, by their names without the prefix."""
    prefix = "access-control-"
    return {
        name.lower()[len(prefix) :]: value for name, value in answer.headers.items() if name.lower().startswith(prefix)
    }


@pytest.mark.parametrize("origin", [OWN, "http://localhost:8000", "HTTPS://A.EXAMPLE"])
@pytest.mark.parametrize("path", ["/things/1", "/no/such/path"])
def test_preflight_needs_neither_token_nor_route(gateway: Client, path: str, origin: str) -> None:
    answer = gateway("OPTIONS", path, headers={"Origin": origin} | PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert cors_headers(answer) == {
        "allow-origin": origin,
        "allow-methods": "GET,POST",
        "allow-headers": "authorization,x-own",
        "max-age": "60",
    }
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OTHER} | PREFLIGHT,
        {"Origin": "null"} | PREFLIGHT,
        {"Origin": f"{OWN}.evil.example"} | PREFLIGHT,
        {"Origin": f"{OWN}:8443"} | PREFLIGHT,
        {"Origin": "http://a.example"} | PREFLIGHT,
        {"Origin": f"{OWN},http://localhost:8000"} | PREFLIGHT,
        {"Origin": OWN},
        PREFLIGHT,
    ],
    ids=str,
)
def test_other_preflights_allow_nothing(gateway: Client, headers: dict[str, str]) -> None:
    answer = gateway("OPTIONS", "/things/1", headers=headers)
    assert (answer.status, cors_headers(answer)) == (204, {})


def test_response_may_be_read_by_its_origin(gateway: Client) -> None:
    answer = gateway("GET", "/things/1", headers={"Origin": OWN}, token=gateway.token())
    assert cors_headers(answer) == {"allow-origin": OWN, "expose-headers": "etag,x-seen"}
    for origin in ({"Origin": OTHER}, {}):
        answer = gateway("GET", "/things/1", headers=origin, token=gateway.token())
        assert (answer.status, cors_headers(answer)) == (200, {})
        assert answer.headers["Vary"] == "Origin"


def test_headers_of_the_function_are_replaced(gateway: Client) -> None:
    headers = {"Access-Control-Allow-Origin": "*", "access-control-allow-credentials": "true", "ETag": '"1"'}
    todo = f'{{"return": {{"statusCode": 200, "headers": {json.dumps(headers)}}}}}'
    for origin, allowed in ((OWN, {OWN}), (OTHER, set())):
        answer = gateway("POST", "/act", todo, {"Content-Type": "application/json", "Origin": origin})
        assert set(answer.headers.get_all("Access-Control-Allow-Origin", [])) == allowed
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["ETag"] == '"1"'


def test_own_errors_of_api_gateway_have_no_cors_headers(gateway: Client) -> None:
    # The documentation promises them for the responses of functions only.
    for path, status in (("/things/1", 401), ("/no/such/path", 404)):
        answer = gateway("GET", path, headers={"Origin": OWN})
        assert (answer.status, cors_headers(answer)) == (status, {})


def test_without_configuration_there_is_no_cors(tmp_path: Path) -> None:
    folder = stub_project.write(tmp_path)
    (folder / "samconfig.toml").write_text('[local.global.parameters]\nparameter_overrides = ["AllowedOrigins="]\n')
    with stub_project.serve(folder) as gateway:
        assert gateway("OPTIONS", "/open", headers={"Origin": OWN} | PREFLIGHT).status == 404
        answer = gateway("GET", "/things/1", headers={"Origin": OWN}, token=gateway.token())
        assert (answer.status, cors_headers(answer)) == (200, {})
        assert "Vary" not in answer.headers
