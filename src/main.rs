use std::process::ExitCode;

fn main() -> ExitCode {
    warmset::cli::main()
}
