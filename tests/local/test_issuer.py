from sluice.local.issuer import REUSE_MARGIN_S, TOKEN_LIFETIME_S, Issuer

PRINCIPAL = "pusher@sluice-local.iam.gserviceaccount.com"
ADDRESS = "http://127.0.0.1:8086"


def test_a_token_is_reused_until_it_nears_its_end() -> None:
    """The same token serves many pushes; a new one is minted before the old one expires."""
    now_s = 1_700_000_000.0
    issuer = Issuer(ADDRESS, now_s=lambda: now_s)
    first = issuer.token("sluice", PRINCIPAL)
    now_s += TOKEN_LIFETIME_S - REUSE_MARGIN_S - 1
    assert issuer.token("sluice", PRINCIPAL) == first
    assert issuer.token("other", PRINCIPAL) != first
    now_s += 1
    assert issuer.token("sluice", PRINCIPAL) != first
