"""Addresses of FHIR servers and of ourselves: read once, compared part by part, never as text that looks alike."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

_PORTS = {"https": 443, "http": 80}
_LONGEST = 4_096  # characters of an address; search links of real servers have up to some hundred
# What a path may not hold: a way up (some servers cut off what follows a semicolon first), an empty step, an encoded
# dot, slash, semicolon or backslash
_UNSAFE_PATH = re.compile(r"(?:^|/)\.\.?(?:[/;]|$)|//|%2e|%2f|%3b|%5c", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Base:
    """The base address of a server: scheme, host in small letters, port, and path without a slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        try:
            address = ip_address(self.host)
        except ValueError:
            return self.host == "localhost"
        # An IPv4 address dressed up as IPv6 counts as this machine in some versions of Python and not in others
        return address.is_loopback and getattr(address, "ipv4_mapped", None) is None

    @property
    def is_encrypted(self) -> bool:
        """Whether calls to it go over TLS."""
        return self.scheme == "https"

    def __str__(self) -> str:
        """Write the address as it is called."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def base_of(text: str) -> Base | None:
    """Read a base address; None for anything but a plain http or https address.

    User names, queries, fragments, ways up in the path, and hosts in odd spelling make it unreadable.
    """
    split = _split(text)
    if split is None or split[1]:
        return None
    base, _ = split
    return Base(base.scheme, base.host, base.port, base.path.rstrip("/"))


def bases_of(texts: Iterable[str]) -> frozenset[Base]:
    """Read base addresses that were checked before."""
    return frozenset(base for text in texts if (base := base_of(text)) is not None)


def are_encrypted(texts: Iterable[str]) -> bool:
    """Whether calls to all of these addresses go over TLS."""
    return all(text.lower().startswith("https://") for text in texts)


def same_address(one: str, other: str) -> bool:
    """Whether two addresses of endpoints are the same, whatever the case of the host or a slash at the end."""
    first = base_of(one)
    return first is not None and first == base_of(other)


def under(base: Base, link: str, *, page: str | None = None) -> str | None:
    """Resolve a link that a server gave, and give it only where it stays under the server's base address.

    `page` is the address of the page that held the link. None for another origin or path, and for what cannot be read.
    """
    if len(link) > _LONGEST:
        return None
    try:
        # A link that begins with ? belongs to the page; another one without a scheme to the base
        target = urljoin(page or f"{base}/", link)
    except ValueError:
        return None
    split = _split(target)
    if split is None:
        return None
    found, query = split
    if (found.scheme, found.host, found.port) != (base.scheme, base.host, base.port):
        return None
    if found.path.rstrip("/") != base.path and not found.path.startswith(f"{base.path}/"):
        return None
    return f"{Base(found.scheme, found.host, found.port, found.path)}{query}"


def _split(text: str) -> tuple[Base, str] | None:
    """Split an address into its base part and "?query"; None when it cannot be trusted to mean what it shows."""
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if parts.scheme not in _PORTS or "@" in parts.netloc or parts.fragment or "#" in text or not host:
        return None
    if parts.netloc.endswith(":") or port == 0 or not _is_host(host) or _UNSAFE_PATH.search(parts.path):
        return None
    query = f"?{parts.query}" if parts.query or text.endswith("?") else ""
    return Base(parts.scheme, host, port or _PORTS[parts.scheme], parts.path), query


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            ip_address(host)
        except ValueError:
            return False
        return "%" not in host
    return _HOST.fullmatch(host) is not None
