//! Compiles proto/upwrite/control/v1 without protoc. What is generated stays in the build folder.

use std::path::PathBuf;

const PROTO: &str = "upwrite/control/v1/control.proto";

/// Fields that JSON shows as RFC 3339.
const TIMESTAMPS: [&str; 20] = [
    "StatusResponse.at",
    "Process.started_at",
    "Process.seen_at",
    "Partition.lag_since",
    "Partition.folded_at",
    "Partition.oldest_unfinished_at",
    "Table.backfilled_at",
    "Counts.oldest_claim_at",
    "Counts.oldest_parked_at",
    "Counts.latest_dead_letter_at",
    "Mutation.requested_at",
    "Mutation.accepted_at",
    "Mutation.attempted_at",
    "Mutation.answered_at",
    "Mutation.finished_at",
    "Mutation.settled_at",
    "Mutation.not_before",
    "MutationFilter.since",
    "TimelineEvent.at",
    // Not a timestamp: JSON inside of JSON.
    "Process.detail_json",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_file(PROTO)?;
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("control.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    let mut builder = tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .type_attribute(".upwrite.control.v1", "#[derive(serde::Serialize)]");
    for field in TIMESTAMPS {
        let with = if field.ends_with("_json") { "crate::proto::json::raw" } else { "crate::proto::json::timestamp" };
        let attribute = format!("#[serde(serialize_with = \"{with}\")]");
        builder = builder.field_attribute(format!(".upwrite.control.v1.{field}"), attribute);
    }
    builder
        .field_attribute(".upwrite.control.v1.Process.detail_json", "#[serde(rename = \"detail\")]")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
