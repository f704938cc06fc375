//! Named caches from a config file, assembled from plugins at run time.
