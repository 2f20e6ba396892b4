//! The `ctnic` command.

fn main() -> std::process::ExitCode {
    testbench::cli::main()
}
