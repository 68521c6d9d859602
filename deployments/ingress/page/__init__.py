"""The page, as a browser gets it: its build at `/`, the API's reference at `/docs` and `/redoc`, and its settings.

`build` knows where the build is, `files` sends it, `settings` says what the page must know before it has a key. The
page itself is in frontend/.
"""

from deployments.ingress.page.build import find_build
from deployments.ingress.page.files import page_routes
from deployments.ingress.page.settings import settings_router

__all__ = ["find_build", "page_routes", "settings_router"]
