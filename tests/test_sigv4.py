"""AWS signatures: as AWS publishes them, and as botocore makes them."""

from datetime import UTC, datetime, timedelta, timezone

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from parley.sigv4 import Signer, signed

VECTOR = Signer("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service")
T0 = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
paths = (
    st.text("abcXYZ019-._~%/", max_size=20)
    .map(lambda path: path.lstrip("/"))
    .filter(lambda path: "//" not in path and not {".", ".."} & {*path.split("/")})
)
"""As they are sent: no step up, no empty part; botocore takes those out before it signs."""
queries = st.lists(st.tuples(st.text("abz", min_size=1, max_size=3), st.text("a1%-._~", max_size=3)), max_size=3)


@pytest.mark.parametrize(
    "method, url, signature",
    [("GET", "https://example.amazonaws.com/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
     ("POST", "https://example.amazonaws.com/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
     ("GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1",
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")],
)  # fmt: skip
def test_a_published_vector_is_signed_as_published(method, url, signature):
    """The cases get-vanilla, post-vanilla and get-vanilla-query-order-key-case of AWS's own suite."""
    headers = signed(method, url, {}, b"", VECTOR, T0)

    assert (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        f"Signature={signature}" == headers["authorization"]
    )


@given(
    st.sampled_from(["https://email.eu-west-1.amazonaws.com", "http://127.0.0.1:9100", "https://h.example:443", "http://[::1]:9100"]),
    paths, queries, st.dictionaries(st.sampled_from(["content-type", "X-Other"]), words), st.binary(max_size=30), st.none() | words.filter(bool),
)  # fmt: skip
def test_any_request_is_signed_as_botocore_signs_it(host, path, query, headers, body, token):
    """Any path, query, header and body; with the token of a session and without."""
    url = f"{host}/{path}" + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")
    request = AWSRequest("POST", url, headers, body)
    reference = botocore.auth.SigV4Auth(Credentials("AK", "secret", token), "ses", "eu-west-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_: T0.replace(tzinfo=None))
        reference.add_auth(request)

    assert (
        request.headers["Authorization"] == signed("POST", url, headers, body, Signer("AK", "secret", "eu-west-1", "ses", token), T0)["authorization"]
    )


def test_the_time_is_written_in_utc():
    seoul = T0.astimezone(timezone(timedelta(hours=9)))

    assert "20150830T123600Z" == signed("GET", "https://example.amazonaws.com/", {}, b"", VECTOR, seoul)["x-amz-date"]


def test_a_signer_does_not_show_its_secrets():
    assert "secret" not in repr(Signer("AK", "the secret", "r", "s", "the secret token")).replace("secret_", "")
