//! Indexes over the objects: kept in step with each insertion and removal, which also say what they touch.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::{Resource, Service};

use super::{Label, Name, Store};
use crate::{Instance, Read};

impl Store {
    pub(super) fn touch_service(&mut self, name: &Name, service: &Service, address: Option<IpAddr>) {
        let selector =
            first_label(name, service).map(|(namespace, key, value)| Read::Selector(namespace, key, value));
        self.touched.insert(Read::Service(name.clone()));
        self.touched.extend(selector);
        self.touched.extend(address.map(Read::Address));
    }

    pub(super) fn insert_service(&mut self, name: Name, service: Arc<Resource<Service>>) {
        let address = self.address_of(&name, &service.spec);
        self.touch_service(&name, &service.spec, address);
        if let Some(address) = address {
            self.services_at.entry(address).or_default().insert(name.clone());
        }
        if let Some(label) = first_label(&name, &service.spec) {
            self.selecting.entry(label).or_default().insert(name.clone());
        }
        self.services.insert(name, service);
    }

    pub(super) fn remove_service(&mut self, name: &Name) {
        let Some(service) = self.services.remove(name) else {
            return;
        };
        let address = self.address_of(name, &service.spec);
        self.touch_service(name, &service.spec, address);
        if let Some(address) = address {
            take_out(&mut self.services_at, &address, name);
        }
        if let Some(label) = first_label(name, &service.spec) {
            take_out(&mut self.selecting, &label, name);
        }
    }

    pub(super) fn index_instance(&mut self, instance: &Instance) {
        self.touch_instance(instance);
        for slot in slots(instance) {
            self.labelled
                .entry(slot)
                .or_default()
                .insert(instance.key.clone());
        }
        if let Some(address) = instance.address {
            self.entries_at
                .entry(address)
                .or_default()
                .insert(instance.name());
        }
    }

    pub(super) fn unindex_instance(&mut self, instance: Option<Arc<Instance>>) {
        let Some(instance) = instance else { return };
        self.touch_instance(&instance);
        for slot in slots(&instance) {
            take_out(&mut self.labelled, &slot, &instance.key);
        }
        if let Some(address) = instance.address {
            take_out(&mut self.entries_at, &address, &instance.name());
        }
    }

    pub(super) fn touch_instance(&mut self, instance: &Instance) {
        let labels = slots(instance).map(|(namespace, key, value)| Read::Label(namespace, key, value));
        self.touched.extend(labels);
        self.touched.insert(Read::Workload(instance.name()));
        self.touched
            .insert(Read::WorkloadsIn(Arc::clone(&instance.key.namespace)));
        self.touched.extend(instance.address.map(Read::Address));
    }
}

fn first_label(name: &Name, service: &Service) -> Option<Label> {
    let (key, value) = service.selector.iter().next()?;
    Some((Arc::clone(&name.0), key.as_str().into(), value.as_str().into()))
}

/// The labels of a workload, as selectors are indexed.
pub(crate) fn slots(instance: &Instance) -> impl Iterator<Item = Label> {
    let slot = |(key, value): (&String, &String)| {
        (
            Arc::clone(&instance.key.namespace),
            key.as_str().into(),
            value.as_str().into(),
        )
    };
    instance.labels.iter().map(slot)
}

pub(super) fn take_out<K: std::hash::Hash + Eq, V: Ord>(
    index: &mut HashMap<K, BTreeSet<V>>,
    key: &K,
    value: &V,
) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
