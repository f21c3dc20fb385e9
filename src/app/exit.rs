//! The end of the process.

/// Ends the process once the last lines of the log are written.
pub fn exit(code: i32) -> ! {
    log::logger().flush();
    std::process::exit(code)
}
