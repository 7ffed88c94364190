"""A transport that makes a conversation in FHIR JSON one in FHIR XML, and turns the answers back: same tests, other format."""

from __future__ import annotations

import httpx

from app.fhir.packages import Packages
from app.fhir.parser import parse_resource
from app.fhir.resource import to_json
from app.fhir.xml import from_xml, to_xml

JSON, XML = "application/fhir+json", "application/fhir+xml"


class InXml(httpx.AsyncBaseTransport):
    """Sends XML where the test sends JSON, and asks for XML where it asks for JSON."""

    def __init__(self, transport: httpx.AsyncBaseTransport, packages: Packages) -> None:
        self._transport, self._structures = transport, packages.structures

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` as XML; its answer has the JSON that the XML says, and the media type of JSON."""
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        body = await request.aread()
        if headers.get("content-type") == JSON:
            body = to_xml(parse_resource(body, JSON, self._structures), self._structures)
            headers["content-type"] = XML
        if headers.get("accept") == JSON:
            headers["accept"] = XML
        response = await self._transport.handle_async_request(
            httpx.Request(request.method, request.url, headers=headers, content=body)
        )
        return await self._in_json(response, asked=headers.get("accept") == XML)

    async def _in_json(self, response: httpx.Response, *, asked: bool) -> httpx.Response:
        content = await response.aread()
        if not response.headers.get("content-type", "").startswith(XML):
            assert not asked or not content or not response.headers["content-type"].startswith(JSON)
            return httpx.Response(response.status_code, headers=response.headers, content=content)
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        headers["content-type"] = headers["content-type"].replace(XML, JSON)
        body = to_json(from_xml(content, self._structures))
        return httpx.Response(response.status_code, headers=headers, content=body)
