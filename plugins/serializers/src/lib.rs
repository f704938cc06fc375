//! Serializers of Larder, one file each.
