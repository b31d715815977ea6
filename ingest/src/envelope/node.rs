//! Who logged a record, as its envelope says: the pod, not the proxy in it.

use std::borrow::Cow;

use crate::key::Key;

/// Longest name that is one: of a Kubernetes object or a host, bytes.
const LONGEST: usize = 253;

/// The pod that a record comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node<'a> {
    pub(crate) pod: Option<Cow<'a, str>>,
    pub(crate) namespace: Option<Cow<'a, str>>,
    pub(crate) container: Option<Cow<'a, str>>,
    /// The machine: a Kubernetes node, or a host name.
    pub(crate) host: Option<Cow<'a, str>>,
    /// What a protocol says of the record beside its text, under names of the recommended format.
    pub(crate) beside: Vec<(Key, Cow<'a, str>)>,
    /// The same under other names, as JSON text.
    pub(crate) rest: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Node<'a> {
    /// Whether the envelope names nobody.
    pub(crate) fn is_nobody(&self) -> bool {
        *self == Node::default()
    }

    /// What it says of keys that the line itself may lack.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Key, &str)> {
        let names = [(Key::PodName, self.pod.as_deref()), (Key::PodNamespace, self.namespace.as_deref())];
        let beside = self.beside.iter().map(|(key, text)| (*key, text.as_ref()));
        names.into_iter().filter_map(|(key, name)| Some((key, name?))).chain(beside)
    }

    /// The pod whose log the file of that path is, as the kubelet calls it: `/var/log/pods/<namespace>_<pod>_<uid>/<container>/0.log`, or
    /// `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`.
    pub(crate) fn of_path(path: &str) -> Option<Node<'static>> {
        let own = |text: &str| name(Cow::Owned(text.to_owned()));
        let parts: Vec<&str> = path.split('/').collect();
        if let [.., folder, container, _file] = parts.as_slice()
            && let [namespace, pod, uid] = folder.split('_').collect::<Vec<_>>().as_slice()
            && uid.len() >= 32
            && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        {
            let (pod, namespace, container) = (own(pod), own(namespace), own(container));
            return Some(Node { pod, namespace, container, ..Node::default() });
        }
        let (container, _) = parts.last()?.split_once(".log")?;
        let (names, id) = container.rsplit_once('-')?;
        let [pod, namespace, container] = names.split('_').collect::<Vec<_>>()[..] else { return None };
        let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (pod, namespace, container) = (own(pod), own(namespace), own(container));
        is_id.then(|| Node { pod, namespace, container, ..Node::default() })
    }

    /// This node, with the names that only the other one has.
    pub(super) fn or(self, other: Node<'a>) -> Node<'a> {
        Node {
            pod: self.pod.or(other.pod),
            namespace: self.namespace.or(other.namespace),
            container: self.container.or(other.container),
            host: self.host.or(other.host),
            beside: [self.beside, other.beside].concat(),
            rest: [self.rest, other.rest].concat(),
        }
    }

    /// The same names, with memory of their own.
    pub(super) fn into_owned(self) -> Node<'static> {
        let owned = |name: Option<Cow<'_, str>>| name.map(|name| Cow::Owned(name.into_owned()));
        let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let Node { pod, namespace, container, host, beside, rest } = self;
        Node {
            pod: owned(pod),
            namespace: owned(namespace),
            container: owned(container),
            host: owned(host),
            beside: beside.into_iter().map(|(key, value)| (key, text(value))).collect(),
            rest: rest.into_iter().map(|(name, json)| (text(name), text(json))).collect(),
        }
    }

    /// Docker's name of a container of Kubernetes, `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`; another name is the
    /// container's own.
    pub(super) fn of_container_name(name: Cow<'a, str>) -> Node<'a> {
        let own = |text: &str| Some(Cow::Owned(text.to_owned()));
        let parts = name.strip_prefix('/').unwrap_or(&name).strip_prefix("k8s_").and_then(|rest| {
            // no name of Kubernetes holds a `_`
            let mut parts = rest.split('_');
            let (container, pod, namespace) = (parts.next()?, parts.next()?, parts.next()?);
            let (_uid, _attempt, end) = (parts.next()?, parts.next()?, parts.next());
            end.is_none().then(|| Node {
                pod: own(pod),
                namespace: own(namespace),
                container: own(container),
                ..Node::default()
            })
        });
        parts.unwrap_or_else(|| Node { container: Some(name), ..Node::default() })
    }
}

/// A name; `None` for what is too long to be one, so that whatever is kept of a node is small.
pub(super) fn name(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (1..=LONGEST).contains(&text.len()).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_kubelet_names_files_after_pods() {
        let id = "0123456789abcdef".repeat(4);
        for (path, expected) in [
            (
                "/var/log/pods/shop_orders-7d9f-x_0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/istio-proxy/0.log",
                Some("shop/orders-7d9f-x/istio-proxy"),
            ),
            (
                "pods/kube-system_etcd-n1_0f1e2d3c4b5a69788796a5b4c3d2e1f0/etcd/12.log.20261128-120000.gz",
                Some("kube-system/etcd-n1/etcd"),
            ),
            (
                &format!("/var/log/containers/orders-7d9f-x_shop_istio-proxy-{id}.log"),
                Some("shop/orders-7d9f-x/istio-proxy"),
            ),
            ("/var/log/pods/shop_orders/istio-proxy/0.log", None),
            ("a_b_c/istio-proxy/0.log", None),
            ("orders_shop_istio-proxy-1.log", None),
            ("access.log", None),
            ("-", None),
        ] {
            let shown = Node::of_path(path)
                .map(|node| [node.namespace, node.pod, node.container].map(Option::unwrap).join("/"));
            assert_eq!(shown.as_deref(), expected, "{path}");
        }
    }
}
