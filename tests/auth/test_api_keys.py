import hashlib
import re

from app.auth.grants import key_hash, new_key, redacted


def test_a_key_is_256_random_bits_after_a_prefix() -> None:
    """The prefix lets people and scanners of repositories see what it is; no two are alike."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"sluice_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_a_key_is_kept_as_its_sha_256() -> None:
    """As `sha256sum` prints it."""
    key = new_key()
    assert key_hash(key) == hashlib.sha256(key.encode()).hexdigest()


def test_a_key_in_a_text_is_made_unreadable() -> None:
    """Wherever it stands, and when it is cut short."""
    key = new_key()
    assert redacted(f"a {key}, `{key[:20]}`") == "a sluice_…, `sluice_…`"
    assert redacted("sluice_grants") == "sluice_grants"
