//! The header and its mirror say the same, and every released version can still be read.

#![expect(unsafe_code, reason = "what is read is made here by hand")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod compile;
mod easy;
mod extensible;
mod header;
mod released;
mod stamp;

use larder_abi::layout::LAYOUTS;

/// Every struct with its fields, a line each, as `released/` has it.
fn table() -> String {
    let mut table = String::new();
    for layout in LAYOUTS {
        let sort = if layout.is_extensible { "extensible" } else { "frozen" };
        let (name, size, align) = (layout.name, layout.size, layout.align);
        table += &format!("{name} {sort} {size} {align}\n");
        for (field, offset, size) in layout.fields {
            table += &format!("  {field} {offset} {size}\n");
        }
    }
    table
}
