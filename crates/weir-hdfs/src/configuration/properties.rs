//! Properties of Hadoop's files, with where they stand.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::ConfigurationError;

/// Later ones are stronger.
const FILES: [&str; 2] = ["core-site.xml", "hdfs-site.xml"];
/// Hadoop's own bound of substitutions in one value: beyond it, properties name each other in a circle.
const SUBSTITUTIONS_MAX: usize = 20;

type Environment = fn(&str) -> Option<String>;

/// What `core-site.xml` and `hdfs-site.xml` of a folder say.
#[derive(Clone, Debug)]
pub struct Properties {
    properties: HashMap<String, Property>,
    files: Vec<PathBuf>,
    environment: Environment,
}

#[derive(Clone, Debug)]
struct Property {
    value: String,
    /// Index into `files`.
    file: usize,
    line: u32,
}

impl Default for Properties {
    fn default() -> Self {
        Self { properties: HashMap::new(), files: Vec::new(), environment: variable }
    }
}

impl Properties {
    /// Reads the files of `folder`; one of the two may be missing. Blocks.
    ///
    /// # Errors
    /// [`ConfigurationError`]: a file cannot be read or is no configuration, or there is none.
    pub fn load(folder: &Path) -> Result<Self, ConfigurationError> {
        Self::load_with(folder, variable)
    }

    /// Reads the files of the folder that `HADOOP_CONF_DIR` names; without that variable there are no properties.
    ///
    /// # Errors
    /// As [`Properties::load`].
    pub fn from_environment() -> Result<Self, ConfigurationError> {
        match variable("HADOOP_CONF_DIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::load(Path::new(&folder)),
            None => Ok(Self::default()),
        }
    }

    pub(super) fn load_with(folder: &Path, environment: Environment) -> Result<Self, ConfigurationError> {
        let mut properties = Self { environment, ..Self::default() };
        for name in FILES {
            let file = folder.join(name);
            match fs::read_to_string(&file) {
                Ok(text) => properties.add(file, &text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ConfigurationError::Read { file, source }),
            }
        }
        if properties.files.is_empty() {
            return Err(ConfigurationError::NoFiles { folder: folder.to_owned() });
        }
        Ok(properties)
    }

    fn add(&mut self, file: PathBuf, text: &str) -> Result<(), ConfigurationError> {
        let syntax = |line: u32, what: String| ConfigurationError::Syntax { file: file.clone(), line, what };
        let document = Document::parse(text).map_err(|error| syntax(error.pos().row, error.to_string()))?;
        let line = |node: Node<'_, '_>| document.text_pos_at(node.range().start).row;
        let root = document.root_element();
        if !root.has_tag_name("configuration") {
            let what = format!("<configuration> expected, found <{}>", root.tag_name().name());
            return Err(syntax(line(root), what));
        }
        for node in root.children().filter(Node::is_element) {
            let name = node.tag_name().name();
            if name != "property" {
                let what = format!("<property> expected, found <{name}>: files that are included are not read");
                return Err(syntax(line(node), what));
            }
            let child = |name| node.children().find(|child| child.has_tag_name(name));
            let text = |node: Node<'_, '_>| node.text().unwrap_or_default().trim().to_owned();
            let name = child("name").map(text).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| syntax(line(node), "this <property> has no <name>".to_owned()))?;
            // Without a value a property is as if it were not there: so does Hadoop.
            let Some(value) = child("value").map(text) else { continue };
            self.properties.insert(name, Property { value, file: self.files.len(), line: line(node) });
        }
        self.files.push(file);
        Ok(())
    }

    /// The value of a property with `${...}` replaced by properties and, as `${env.NAME}`, `${env.NAME-default}`, by the
    /// environment; `None` if it is not set or empty.
    ///
    /// # Errors
    /// [`ConfigurationError::Property`] if it refers to something that is not set, or to itself.
    pub fn get(&self, name: &str) -> Result<Option<String>, ConfigurationError> {
        let Some(property) = self.properties.get(name) else { return Ok(None) };
        let mut value = property.value.clone();
        for _ in 0..SUBSTITUTIONS_MAX {
            // The innermost first: a name may itself be made of others.
            let reference = value.find('}').and_then(|end| value[..end].rfind("${").map(|start| (start, end)));
            let Some((start, end)) = reference else {
                return Ok(Some(value).filter(|value| !value.is_empty()));
            };
            let what = &value[start + 2..end];
            let Some(put) = self.referred(what) else {
                return Err(self.error(name, &format!("refers to ${{{what}}}, which is not set")));
            };
            value.replace_range(start..=end, &put);
        }
        Err(self.error(name, "refers to itself, or to more than 20 others"))
    }

    fn referred(&self, what: &str) -> Option<String> {
        let Some(variable) = what.strip_prefix("env.") else {
            let own = || self.properties.get(what).map(|property| property.value.clone());
            return match what {
                "user.name" => (self.environment)("USER").or_else(own),
                "user.home" => (self.environment)("HOME").or_else(own),
                _ => own(),
            };
        };
        let (variable, default) = match variable.split_once('-') {
            Some((variable, default)) => (variable.strip_suffix(':').unwrap_or(variable), Some(default)),
            None => (variable, None),
        };
        (self.environment)(variable).or_else(|| default.map(str::to_owned))
    }

    /// That `what` is wrong with property `name`, with where it stands.
    pub(super) fn error(&self, name: &str, what: &str) -> ConfigurationError {
        match self.properties.get(name) {
            None => ConfigurationError::Missing { name: name.to_owned(), why: what.to_owned() },
            Some(Property { file, line, .. }) => ConfigurationError::Property {
                file: self.files[*file].clone(),
                line: *line,
                name: name.to_owned(),
                what: what.to_owned(),
            },
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
