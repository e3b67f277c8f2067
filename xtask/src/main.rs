//! Tasks of the workshop: `cargo xtask bench`, `cargo xtask bench-waiters`, `cargo xtask openapi`,
//! `cargo xtask release`.
//!
//! Invariant: nothing here is part of the product, and a figure with a time in it never fails a test. Not
//! here: tidy rules (a test).

mod bench;
mod bench_postgres;
mod bench_stored;
mod bench_upstream;
mod foreign;
mod load;
mod process;
mod release;
mod sbom;
mod scale;
mod waiters;

/// The allocator of the product, so that the figures are the product's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::{
    io::{self, Write},
    process::ExitCode,
};

const USAGE: &str = "usage: cargo xtask bench [SECONDS] [ROUNDS]\n\
                     \x20      cargo xtask bench-waiters [WAITERS] [SECONDS]\n\
                     \x20      cargo xtask bench-postgres [SECONDS] [ROUNDS]\n\
                     \x20      cargo xtask bench-stored [SECONDS] [TASKS] [IN_FLIGHT]\n\
                     \x20      cargo xtask bench-upstream [SECONDS] [ROUNDS]\n\
                     \x20      cargo xtask scale [TASKS_A_DAY] [POLLS_A_TASK]\n\
                     \x20      cargo xtask openapi\n\
                     \x20      cargo xtask release [--out DIR] [--profile PROFILE]\n";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, or: u64| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(or);
    let done = match arguments.first().map(String::as_str) {
        Some("bench") => bench::run(number(1, 5), number(2, 3)),
        Some("bench-waiters") => waiters::run(number(1, 1000), number(2, 30)),
        Some("bench-postgres") => bench_postgres::run(number(1, 5), number(2, 3)),
        Some("bench-stored") => {
            let tasks = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
            bench_stored::run(number(1, 5), tasks, number(3, 100_000))
        }
        Some("bench-upstream") => bench_upstream::run(number(1, 10), number(2, 3)),
        Some("scale") => scale::run(number(1, 20), number(2, 3)),
        Some("openapi") => write_openapi().map_err(Into::into),
        Some("release") => release::run(arguments.get(1..).unwrap_or_default()),
        _ => {
            drop(io::stderr().write_all(USAGE.as_bytes()));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "xtask: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes the checked-in OpenAPI document anew.
fn write_openapi() -> io::Result<()> {
    let text = serde_json::to_string_pretty(&rynjer_server::openapi_document())?;
    std::fs::create_dir_all("api")?;
    std::fs::write("api/openapi.json", format!("{text}\n"))
}
