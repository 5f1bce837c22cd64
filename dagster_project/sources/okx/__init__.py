"""OKX v5 derivatives: perpetual swaps and dated futures by REST, and the dated files on static.okx.com.

Documentation: okx.com/docs-v5. Lists come newest first; ``after`` and ``end`` ask for what is strictly older. An answer with a
``code`` other than 0 is an error inside HTTP 200. Everything counts contracts unless the field's name says otherwise.
"""

from dagster_project.sources.okx.feeds import FEEDS

__all__ = ["FEEDS"]
