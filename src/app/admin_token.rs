//! The token for the admin API.

use super::start_error::StartError;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Token from TIDEGATE_ADMIN_TOKEN, else from the state folder, where a missing one is generated.
pub fn admin_token(dir: &Path) -> Result<String, StartError> {
    if let Ok(token) = std::env::var("TIDEGATE_ADMIN_TOKEN")
        && !token.trim().is_empty()
    {
        let token = token.trim();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StartError::System(
                "TIDEGATE_ADMIN_TOKEN has characters that no header can carry\n  hint: use \
                 letters and digits, without spaces"
                    .to_owned(),
            ));
        }
        return Ok(token.to_owned());
    }
    let path = dir.join("admin-token");
    kept_token(&path)
        .map_err(|error| StartError::System(format!("cannot use {}: {error}", path.display())))
}

fn kept_token(path: &Path) -> io::Result<String> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    // The mode above is for a new file; somebody may have written this one by hand.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let mut token = String::new();
    file.read_to_string(&mut token)?;
    if token.trim().is_empty() {
        token = uuid::Uuid::new_v4().simple().to_string();
        file.rewind()?;
        file.write_all(token.as_bytes())?;
    }
    Ok(token.trim().to_owned())
}
