"""A cluster's TLS key and certificate: made for it alone, and written where only its user reads.

As distributed's own temporary ones, but on an elliptic curve: an RSA key takes a tenth of a second
to make, and longer at each connection.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from distributed.security import Security

_NAME = "dask-internal"
_DAYS = 365

# Of Dask, without types.
_Security: Any = Security


def make() -> Any:
    """A `distributed.Security` for scheduler, workers and clients, with a key of its own."""
    # Imported here: a cluster without TLS goes without.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(_NAME)]), critical=False)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    roles = ("client", "scheduler", "worker")
    keys = {f"tls_{role}_key": private for role in roles}
    certificates = {f"tls_{role}_cert": public for role in roles}
    return _Security(require_encryption=True, tls_ca_file=public, **keys, **certificates)


def write(security: Any, directory: Path) -> dict[str, str]:
    """As files, for clients of the same user; their paths by `ca`, `cert` and `key`."""
    texts = {"ca": security.tls_ca_file, "cert": security.tls_client_cert}
    texts["key"] = security.tls_client_key
    paths = {}
    for name, text in texts.items():
        path = directory / f"tls-{name}.pem"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        paths[name] = str(path)
    return paths
