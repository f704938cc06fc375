//! The hit ratio of every policy on traces of your own.
//!
//! ```text
//! cargo run --release -p larder-policies --example hit_ratio -- FOLDER TRACE=CAPACITY...
//! ```
//!
//! `FOLDER/TRACE.u32` holds the keys that were asked for, one after the other, as little-endian
//! numbers of 32 bits; number the keys from 0. All entries count alike.

#![expect(clippy::print_stdout, reason = "it prints its results")]

use std::error::Error;
use std::fs;
use std::path::Path;

use larder_core::PolicyConfig;
use larder_core::policy::{Capacity, Policy};

#[path = "../tests/replay/mod.rs"]
mod replay;

type Make = Box<dyn Fn(Capacity) -> Box<dyn Policy>>;

fn by_default<C: PolicyConfig + Default>() -> (&'static str, Make) {
    (C::KIND, Box::new(|capacity| Box::new(C::default().build(capacity))))
}

fn policies() -> Vec<(&'static str, Make)> {
    vec![
        by_default::<larder_policies::WTinyLfuConfig>(),
        by_default::<larder_policies::S3FifoConfig>(),
        by_default::<larder_policies::SieveConfig>(),
        by_default::<larder_policies::LirsConfig>(),
        by_default::<larder_policies::ArcConfig>(),
        by_default::<larder_policies::TwoQConfig>(),
        by_default::<larder_policies::SlruConfig>(),
        by_default::<larder_policies::GdsfConfig>(),
        by_default::<larder_policies::LfuConfig>(),
        by_default::<larder_policies::ClockConfig>(),
        by_default::<larder_policies::LruConfig>(),
        by_default::<larder_policies::FifoConfig>(),
        by_default::<larder_policies::RandomConfig>(),
    ]
}

fn read(folder: &str, trace: &str) -> Result<Vec<u32>, Box<dyn Error>> {
    let path = Path::new(folder).join(format!("{trace}.u32"));
    let bytes = fs::read(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let words = bytes.chunks_exact(4);
    Ok(words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder, then one or more `TRACE=CAPACITY`")?;
    let policies = policies();
    let names: String = policies.iter().map(|(name, _)| format!("{name:>10}")).collect();
    println!("{:<10}{:>7}{names}", "trace", "entries");
    for argument in arguments {
        let (trace, capacity) =
            argument.split_once('=').ok_or_else(|| format!("`{argument}` has no `=`"))?;
        let capacity: usize = capacity.parse()?;
        let requests = read(&folder, trace)?;
        let ratios = policies.iter().map(|(_, make)| replay::hit_ratio(make, capacity, &requests));
        let ratios: String = ratios.map(|ratio| format!("{ratio:>10.4}")).collect();
        println!("{trace:<10}{capacity:>7}{ratios}");
    }
    Ok(())
}
