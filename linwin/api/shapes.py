"""The JSON types of docker's request bodies, field by field.

A field of the wrong type is refused also where linwin does nothing with it, as docker's
daemon refuses what it cannot decode. Source: Docker Engine API v1.50, ``ContainerConfig``,
``HostConfig`` and ``Mount``; ``KernelMemory`` is of versions before v1.42.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from linwin.api.fields import Fields

Kind = Callable[[Fields, str], object]

_BY_KIND: dict[Kind, str] = {
    Fields.text: """
        Cgroup CgroupParent CgroupnsMode ContainerIDFile CpusetCpus CpusetMems IpcMode Isolation
        NetworkMode PidMode Runtime UTSMode UsernsMode VolumeDriver
    """,
    Fields.texts: """
        Binds CapAdd CapDrop DeviceCgroupRules Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links
        MaskedPaths ReadonlyPaths SecurityOpt VolumesFrom
    """,
    Fields.flag: "AutoRemove Init OomKillDisable Privileged PublishAllPorts ReadonlyRootfs",
    Fields.integer: """
        BlkioWeight CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime
        CpuShares IOMaximumBandwidth IOMaximumIOps KernelMemory KernelMemoryTCP Memory
        MemoryReservation MemorySwap MemorySwappiness NanoCpus OomScoreAdj PidsLimit ShmSize
    """,
    Fields.mapping: "Annotations StorageOpt Sysctls Tmpfs",
    Fields.object: "LogConfig PortBindings RestartPolicy",
    Fields.objects: """
        BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps
        BlkioWeightDevice DeviceRequests Devices Mounts Ulimits
    """,
    Fields.size: "ConsoleSize",
}

HOST_CONFIG: Mapping[str, Kind] = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}

CONTAINER_CONFIG: Mapping[str, Kind] = {
    "Hostname": Fields.text,
    "Domainname": Fields.text,
    "User": Fields.text,
    "AttachStdin": Fields.flag,
    "AttachStdout": Fields.flag,
    "AttachStderr": Fields.flag,
    "ExposedPorts": Fields.keys,
    "Tty": Fields.flag,
    "OpenStdin": Fields.flag,
    "StdinOnce": Fields.flag,
    "Env": Fields.texts,
    "Cmd": Fields.words,
    "Healthcheck": Fields.object,
    "ArgsEscaped": Fields.flag,
    "Image": Fields.text,
    "Volumes": Fields.keys,
    "WorkingDir": Fields.text,
    "Entrypoint": Fields.words,
    "NetworkDisabled": Fields.flag,
    "MacAddress": Fields.text,
    "OnBuild": Fields.texts,
    "Labels": Fields.mapping,
    "StopSignal": Fields.text,
    "StopTimeout": Fields.integer,
    "Shell": Fields.texts,
}

MOUNT: Mapping[str, Kind] = {
    "Type": Fields.text,
    "Source": Fields.text,
    "Target": Fields.text,
    "ReadOnly": Fields.flag,
    "Consistency": Fields.text,
}

MOUNT_OPTIONS: Mapping[str, Mapping[str, Kind]] = {
    "BindOptions": {
        "Propagation": Fields.text,
        "NonRecursive": Fields.flag,
        "CreateMountpoint": Fields.flag,
        "ReadOnlyNonRecursive": Fields.flag,
        "ReadOnlyForceRecursive": Fields.flag,
    },
    "VolumeOptions": {
        "NoCopy": Fields.flag,
        "Labels": Fields.mapping,
        "DriverConfig": Fields.object,
        "Subpath": Fields.text,
    },
    "TmpfsOptions": {"SizeBytes": Fields.integer, "Mode": Fields.integer},
    "ImageOptions": {"Subpath": Fields.text},
    "ClusterOptions": {},
}

VOLUME_DRIVER: Mapping[str, Kind] = {"Name": Fields.text, "Options": Fields.mapping}

EXEC_START: Mapping[str, Kind] = {
    "Detach": Fields.flag,
    "Tty": Fields.flag,
    "ConsoleSize": Fields.size,
}


def check(fields: Fields, shape: Mapping[str, Kind]) -> None:
    """Raise InvalidRequest for a field of the wrong type; those that are in no shape are ignored."""
    for name, read in shape.items():
        read(fields, name)
