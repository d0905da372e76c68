"""INF files of the tests' own, with what those of the virtio drivers have: ids, values and kinds of lines."""

from __future__ import annotations

VIOSTOR = r"""
; starts with the kernel, has an event log and values for its devices
[Version]
Signature="$Windows NT$"
Class=SCSIAdapter
ClassGUID={4D36E97B-E325-11CE-BFC1-08002BE10318}
Provider=%Maker%
DriverVer=07/12/2023,100.93.104.24000 ; a date and a version
CatalogFile=viostor.cat
PnpLockdown=1

[SourceDisksNames]
1 = %Medium%,,,""
[SourceDisksFiles]
viostor.sys = 1,,
[DestinationDirs]
Block.Files = 12

[Manufacturer]
%Maker%   = Block,NTamd64

[Block.NTamd64]
%Block.Name% = Block.Install, PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00, PCI\VEN_1AF4&DEV_1001
%Block.Name% = Block.Install, PCI\VEN_1AF4&DEV_1042&SUBSYS_11001AF4&REV_01, PCI\VEN_1AF4&DEV_1042

[Block.Install]
CopyFiles=Block.Files
[Block.Files]
viostor.sys,,,2

[Block.Install.Services]
AddService = viostor, 0x00000002 , Block.Service, Block.Log
[Block.Service]
ServiceType    = %Kernel%
StartType      = %Boot%
ErrorControl   = %Normal%
ServiceBinary  = %12%\viostor.sys
LoadOrderGroup = SCSI miniport
AddReg         = Block.Parameters
[Block.Parameters]
HKR, "Parameters\PnpInterface", "5", %Number%, 0x00000001
HKR, "Parameters", "BusType", %Number%, 0x00000001

[Block.Log]
AddReg = Block.Messages
[Block.Messages]
HKR,,EventMessageFile,%Expandable%,"%%SystemRoot%%\System32\IoLogMsg.dll"
HKR,,TypesSupported,%Number%,7

[Block.Install.HW]
AddReg = Block.Interrupts
[Block.Interrupts]
HKR, "Interrupt Management",, 0x00000010
HKR, "Interrupt Management\MessageSignaledInterruptProperties", MSISupported, 0x00010001, 1

[Strings]
Maker = "Red Hat, Inc."
medium = "a disk; for installing"
Block.Name = "A block device"
Expandable = 0x00020000
Number = 0x00010001
Kernel = 1
Boot = 0
Normal = 1
"""

VIOSER = r"""
[Version]
Signature="$WINDOWS NT$"
Class=System
ClassGuid={4d36e97d-e325-11ce-bfc1-08002be10318}
Provider=%Maker%
DriverVer=07/12/2023,100.93.104.24000
CatalogFile=Vioser.cat

[DestinationDirs]
DefaultDestDir = 12
Port.Helpers = 11

[SourceDisksFiles]
vioser.sys  = 1,,
vioserhelp.dll = 1
vioserco.dll = 1 ; an installer's help

[Manufacturer]
%Maker%=Port,NTx86,NTamd64

[Port.NTamd64]
%Port.Name%=Port_Device, PCI\VEN_1AF4&DEV_1003&SUBSYS_00031AF4&REV_00, \
   PCI\VEN_1AF4&DEV_1003

[Port_Device.NT]
CopyFiles=Port.Files
CopyFiles=Port.Helpers

[Port.Files]
vioser.sys
[Port.Helpers]
vioserhelp.dll

[Port_Device.NT.Services]
AddService = VirtioSerial, 0x00000002, Port.Service
[Port.Service]
DisplayName    = %Port.Service%
ServiceType    = 1               ; a driver of the kernel
StartType      = 3               ; when it is asked for
ErrorControl   = 1
ServiceBinary  = %12%\vioser.sys

[Port_Device.NT.CoInstallers]
AddReg=Port.CoInstaller
CopyFiles=@vioserco.dll
[Port.CoInstaller]
HKR,,CoInstallers32,0x00010000,"vioserco.dll,Install", \
    "another.dll,Install"

[Port_Device.NT.Wdf]
KmdfService =  VirtioSerial, Port.Framework
[Port.Framework]
KmdfLibraryVersion = 1.15

[Strings]
Maker = "Red Hat, Inc."
Port.Name = "A serial port"
Port.Service = "The service of a serial port"
"""

NETKVM = r'''
[Version]
Signature = "$Windows NT$"
Class = Net
ClassGUID = {4d36e972-e325-11ce-bfc1-08002be10318}
Provider = %Maker%
DriverVer = 07/12/2023,100.93.104.24000
CatalogFile.NTamd64 = netkvm.cat

[Manufacturer]
%Maker% = Net, NTamd64.6.1, NTamd64.10.0...14393, NTamd64.10.0...17763

[Net.NTamd64.6.1]
%Net.Name% = seven.ndi, PCI\VEN_1AF4&DEV_1000
[Net.NTamd64.10.0...14393]
%Net.Name% = card.ndi, PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4&REV_00, PCI\VEN_1AF4&DEV_1000
[Net.NTamd64.10.0...17763]
%Net.Name% = newer.ndi, PCI\VEN_1AF4&DEV_1000

[card.ndi.NTamd64]
*IfType = 6
AddReg = card.Reg, card.Parameters
CopyFiles = card.Copy
[newer.ndi.NTamd64]
[seven.ndi.NTamd64]

[card.Reg]
HKR, , BusNumber, 0, "0"
HKR, Ndi, Service, 0, "netkvm"
HKR, Ndi, Old, 4
[card.Parameters]
HKR, Ndi\Params\*MTU, default, 0, "1500"
HKR, Ndi\Params\*MTU\enum, "1", 0, %Enable*%

[card.Copy]
netkvm.sys,,,2

[card.ndi.NTamd64.Services]
AddService = netkvmp,,card.Program
AddService = netkvm, 2, card.Service
[card.Program]
ServiceType = 0x10
StartType = 2
ErrorControl = 1
ServiceBinary = %11%\netkvmp.exe run it
[card.Service]
DisplayName = "A card; ""net"""
ServiceType = 1
StartType = 3
ErrorControl = 1
ServiceBinary = %13%\netkvm.sys
LoadOrderGroup = NDIS
AddReg = card.Text
[card.Text]
HKR,Parameters,DisableMSI,,"0"

[DestinationDirs]
card.Copy = 13

[Strings]
Maker = "Red Hat, Inc."
Net.Name = "A network card"
Enable* = "Enabled";
'''


def _block_like(name: str, service: str, device: str, class_guid: str) -> str:
    """One that is like a block device's, for another device."""
    text = VIOSTOR.replace("viostor", name).replace("AddService = " + name, "AddService = " + service)
    text = text.replace("DEV_1001", f"DEV_{device}").replace(
        "DEV_1042", f"DEV_10{int(device[2:], 16) + 64:02X}"
    )
    return text.replace("{4D36E97B-E325-11CE-BFC1-08002BE10318}", class_guid)


_SYSTEM = "{4d36e97d-e325-11ce-bfc1-08002be10318}"
ALL = {
    "viostor": VIOSTOR,
    "vioscsi": _block_like("vioscsi", "vioscsi", "1004", "{4D36E97B-E325-11CE-BFC1-08002BE10318}"),
    "vioserial": VIOSER,
    "NetKVM": NETKVM.replace(", NTamd64.10.0...17763", ""),  # whose service is left out there
    "Balloon": _block_like("balloon", "BALLOON", "1002", _SYSTEM),
    "viorng": _block_like("viorng", "VirtRng", "1005", _SYSTEM),
}
"""What a whole virtio-win has for one build, by the names of its folders."""
