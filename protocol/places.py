"""Geographic coordinates, in degrees (WGS 84)."""

from typing import Annotated

from msgspec import Meta

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
