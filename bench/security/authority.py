"""One authority for both kinds of proxy, as Wattle has it: a root, an issuer below it, and workloads below the issuer."""
from pathlib import Path

from pair.certs import NAMES, TRUST
from pair.world import command

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
AUTHORITY = "basicConstraints=critical,CA:TRUE{length}\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
WORKLOAD = (f"subjectAltName=critical,URI:{TRUST}/{{name}}\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n")


def make(beside: Path) -> Path:
    """Makes it once in a folder of its own: `NAME.pem` and `NAME.key` as the pair has them, and what `--issuer` reads."""
    folder = beside.parent / "authority"
    if folder.is_dir():
        return folder
    folder.mkdir()
    signed(folder, "root", "/O=bench/CN=root", AUTHORITY.format(length=""), "")
    signed(folder, "issuer", "/O=bench/CN=issuer", AUTHORITY.format(length=",pathlen:0"), "root")
    for name in NAMES:
        signed(folder, name, "/", WORKLOAD.format(name=name), "issuer")
        with (folder / f"{name}.pem").open("a") as chain:
            chain.write((folder / "issuer.pem").read_text())
    for given, wanted in (("issuer.pem", "ca-cert.pem"), ("issuer.key", "ca-key.pem"), ("root.pem", "root-cert.pem")):
        (folder / wanted).write_text((folder / given).read_text())
    for path in folder.iterdir():
        # The keys are thrown away.
        path.chmod(0o644)
    return folder


def signed(folder: Path, name: str, subject: str, extensions: str, by: str) -> None:
    """A certificate by another, or by itself."""
    own, asked = str(folder / name), folder / f"{name}.ext"
    asked.write_text(extensions)
    command("openssl", "req", *CURVE, "-subj", subject, "-keyout", f"{own}.key", "-out", f"{own}.csr")
    above = str(folder / by)
    signer = ["-CA", f"{above}.pem", "-CAkey", f"{above}.key", "-CAcreateserial"] if by else ["-signkey", f"{own}.key"]
    command("openssl", "x509", "-req", "-in", f"{own}.csr", *signer, "-days", "2", "-extfile", str(asked), "-out", f"{own}.pem")
