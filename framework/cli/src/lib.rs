//! The larder command: check, show and explain configs, look into caches.
