//! Every policy keeps the contract that the conformance kit proves.

use std::sync::Arc;

use larder_conformance::{plugin, policy};
use larder_core::{PolicyConfig, PolicyFactory};

/// The cases for a policy with its default options.
macro_rules! policies {
    ($($name:ident: $config:ident, $descriptor:ident;)+) => {
        $(
            mod $name {
                use super::*;
                use larder_policies::$descriptor;

                fn factory() -> Arc<dyn PolicyFactory> {
                    larder_policies::$config::default().into_factory()
                }

                policy!(factory);
                plugin!($descriptor);
            }
        )+
    };
}

policies! {
    arc: ArcConfig, ARC;
    auto: AutoConfig, AUTO;
    clock: ClockConfig, CLOCK;
    clock_pro: ClockProConfig, CLOCK_PRO;
    fifo: FifoConfig, FIFO;
    gdsf: GdsfConfig, GDSF;
    lfu: LfuConfig, LFU;
    lirs: LirsConfig, LIRS;
    lru: LruConfig, LRU;
    random: RandomConfig, RANDOM;
    s3_fifo: S3FifoConfig, S3_FIFO;
    sieve: SieveConfig, SIEVE;
    slru: SlruConfig, SLRU;
    tinylfu: TinyLfuConfig, TINYLFU;
    ttl: TtlConfig, TTL;
    two_q: TwoQConfig, TWO_Q;
    w_tinylfu: WTinyLfuConfig, W_TINYLFU;
}
