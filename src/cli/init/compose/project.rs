//! A Compose project, and the names of its volumes and networks in Docker.

use serde_yaml::Value;
use std::path::Path;

pub struct Project<'a> {
    name: String,
    home: Option<String>,
    folder: &'a Path,
    file: &'a Value,
}

impl<'a> Project<'a> {
    pub fn of(
        file: &'a Value,
        folder: &'a Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Project<'a> {
        let of_file = || file.get("name").and_then(Value::as_str).map(str::to_owned);
        let of_folder = || Some(folder.file_name()?.to_string_lossy().into_owned());
        let name = env("COMPOSE_PROJECT_NAME").or_else(of_file);
        let name = name.or_else(of_folder).unwrap_or_default().to_lowercase();
        let name: String = name.chars().filter(|c| is_kept(*c)).collect();
        Project {
            name: name.trim_start_matches(['-', '_']).to_owned(),
            home: env("HOME"),
            folder,
            file,
        }
    }

    /// Folder that paths in the file are relative to.
    pub fn folder(&self) -> &Path {
        self.folder
    }

    /// Image of a service that is built and has no `image`.
    pub fn image(&self, service: &str) -> String {
        format!("{}-{service}", self.name)
    }

    pub fn network(&self, key: &str) -> String {
        self.called("networks", key)
    }

    /// A volume's name, or the folder that is mounted.
    pub fn volume(&self, source: &str) -> String {
        let below = source.strip_prefix("./").or((source == ".").then_some(""));
        match below {
            Some(below) => self.folder.join(below).display().to_string(),
            None if source.starts_with("../") => self.folder.join(source).display().to_string(),
            None if source.starts_with('/') => source.to_owned(),
            None if source.starts_with('~') => {
                source.replacen('~', self.home.as_deref().unwrap_or("~"), 1)
            }
            None => self.called("volumes", source),
        }
    }

    /// Name in Docker: with the project in front, unless the file has a `name`.
    fn called(&self, kind: &str, key: &str) -> String {
        let about = self.file.get(kind).and_then(|all| all.get(key));
        let text = |name: &str| {
            about
                .and_then(|about| about.get(name))
                .and_then(Value::as_str)
        };
        let external = about.and_then(|about| about.get("external"));
        let is_external = external.is_some_and(|it| it.as_bool() != Some(false));
        match text("name") {
            Some(name) => name.to_owned(),
            None if is_external => key.to_owned(),
            None => format!("{}_{key}", self.name),
        }
    }
}

/// Whether a character stays in a project's name.
fn is_kept(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_and_networks_are_called_as_compose_calls_them() {
        let file = "
            volumes: { data: {}, old: { name: kept }, ours: { external: true } }
            networks: { front: { name: edge, external: true }, back: { external: false } }";
        let file: Value = serde_yaml::from_str(file).unwrap();
        let project = Project::of(&file, Path::new("/srv/My.Shop_2"), &|name| {
            (name == "HOME").then(|| "/home/me".to_owned())
        });
        for (source, expected) in [
            ("data", "myshop_2_data"),
            ("old", "kept"),
            ("ours", "ours"),
            ("/srv/x", "/srv/x"),
            ("~/x", "/home/me/x"),
            ("./conf", "/srv/My.Shop_2/conf"),
            ("../conf", "/srv/My.Shop_2/../conf"),
        ] {
            assert_eq!(project.volume(source), expected);
        }
        for (key, expected) in [
            ("default", "myshop_2_default"),
            ("front", "edge"),
            ("back", "myshop_2_back"),
        ] {
            assert_eq!(project.network(key), expected);
        }
    }

    #[test]
    fn a_project_is_named_by_the_environment_then_the_file_then_its_folder() {
        let file = serde_yaml::from_str("name: shop").unwrap();
        let folder = Path::new("/srv/web");
        let env = |_: &str| Some("other".to_owned());
        assert_eq!(Project::of(&file, folder, &env).network("a"), "other_a");
        assert_eq!(Project::of(&file, folder, &|_| None).network("a"), "shop_a");
        let project = Project::of(&Value::Null, folder, &|_| None);
        assert_eq!(project.network("a"), "web_a");
    }
}
