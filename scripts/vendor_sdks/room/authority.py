"""A certificate authority of one day and a certificate for names of loopback: python authority.py FOLDER NAME...

Writes ca.pem, cert.pem and key.pem. The authority's own key is never written, so it signs nothing else.
"""
import datetime, ipaddress, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

folder, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
now = datetime.datetime.now(datetime.timezone.utc)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(subject, issuer, public_key, is_authority):
    return (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
            .public_key(public_key).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True))


authority_key, key = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
authority = certificate("stand-in authority", "stand-in authority", authority_key.public_key(), True)
authority = authority.sign(authority_key, hashes.SHA256())
usual = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
alternatives = x509.SubjectAlternativeName(usual + [x509.DNSName(name) for name in names])
own = certificate("stand-in", "stand-in authority", key.public_key(), False)
own = own.add_extension(alternatives, critical=False).sign(authority_key, hashes.SHA256())

pem = serialization.Encoding.PEM
folder.mkdir(parents=True, exist_ok=True)
(folder / "ca.pem").write_bytes(authority.public_bytes(pem))
(folder / "cert.pem").write_bytes(own.public_bytes(pem))
(folder / "key.pem").write_bytes(
    key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
