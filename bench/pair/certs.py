"""Certificates for the peers' pairs: one root, two workloads named as SPIFFE asks, P-256."""
from pathlib import Path

from .world import command

TRUST = "spiffe://cluster.local/ns/bench/sa"
NAMES = ("client", "server")


def make(folder: Path) -> Path:
    """Makes them with the openssl command line; keys are readable by all, they are thrown away."""
    folder.mkdir(parents=True, exist_ok=True)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    root = str(folder / "root")
    command("openssl", "req", "-x509", *curve, "-days", "2", "-subj", "/O=bench", "-keyout", f"{root}.key", "-out", f"{root}.pem")
    for name in NAMES:
        own = str(folder / name)
        extensions = folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=critical,URI:{TRUST}/{name}\nkeyUsage=critical,digitalSignature\n"
                              "extendedKeyUsage=serverAuth,clientAuth\n")
        command("openssl", "req", *curve, "-subj", "/", "-keyout", f"{own}.key", "-out", f"{own}.csr")
        command("openssl", "x509", "-req", "-in", f"{own}.csr", "-CA", f"{root}.pem", "-CAkey", f"{root}.key", "-days", "2",
                "-CAcreateserial", "-extfile", str(extensions), "-out", f"{own}.pem")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder
