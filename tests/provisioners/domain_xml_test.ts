import assert from "node:assert/strict";
import fc from "fast-check";
import {
  makeClone,
  makeTemplate,
  NAMESPACE,
  pathOfVolume,
  recordIn,
  volumesOf,
} from "../../provisioners/_domain_xml.ts";

const DISK =
  "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/></disk>";

const domain = (devices: string, more = "") =>
  `<domain type='kvm'><name>origin</name><uuid>1</uuid>${more}<devices>${devices}</devices></domain>`;

/** What there is in a document, without the indentation. */
const squeeze = (xml: string) => xml.replaceAll(/>\s+</g, "><").trim();

const template = (xml: string) =>
  makeTemplate(xml, ({ pool, volume }) => `/${pool}/${volume}`);

/** The devices of the template, without the network interface that every clone gets. */
function devicesOf(xml: string): string {
  const [, devices] = /<devices>(.*)<\/devices>/s.exec(squeeze(template(xml)))!;
  const network =
    '<interface type="user"><backend type="passt"/><model type="virtio"/><ip address="100.80.60.1" family="ipv4" prefix="24"/></interface>';
  assert.ok(devices.includes(network), devices);
  return devices.replace(network, "");
}

const TRANSIENT =
  '<disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="unsafe"/><source file="/a.qcow2"/><transient shareBacking="yes"/><target dev="vda" bus="virtio"/></disk>';

/** What becomes of devices beside the primary disk, which is left out. */
const CHANGES: [what: string, before: string, after: string][] = [
  [
    "a further disk that is written to becomes transient, too",
    "<disk type='file'><driver type='raw'/><source file='/b'/><target dev='vdb'/></disk>",
    '<disk type="file" device="disk"><driver name="qemu" type="raw" cache="unsafe"/><source file="/b"/><transient shareBacking="yes"/><target dev="vdb"/></disk>',
  ],
  [
    "the order of boot, the serial number, sizes and limits of a disk are kept, addresses and chains are not",
    `<disk type="file" device="disk"><driver type="qcow2" io="native"/><source file="/b" index="1"/><backingStore type="file"><source file="/c"/></backingStore><target dev="vdb"/><iotune><total_iops_sec>9</total_iops_sec></iotune><blockio logical_block_size="4096"/><serial>S</serial><wwn>W</wwn><boot order="2"/><alias name="x"/><address type="pci" slot="1"/></disk>`,
    '<disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="unsafe"/><source file="/b"/><transient shareBacking="yes"/><target dev="vdb"/><boot order="2"/><serial>S</serial><wwn>W</wwn><blockio logical_block_size="4096"/><iotune><total_iops_sec>9</total_iops_sec></iotune></disk>',
  ],
  [
    "a volume becomes its file",
    '<disk type="volume" device="disk"><driver type="qcow2"/><source pool="p" volume="v"/><target dev="vdb"/></disk>',
    '<disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="unsafe"/><source file="/p/v"/><transient shareBacking="yes"/><target dev="vdb"/></disk>',
  ],
  [
    "disks that nobody writes to, or that may be shared, stay, whatever they are",
    '<disk type="block" device="disk"><source dev="/dev/x"/><readonly/></disk><disk type="network" device="disk"><shareable/></disk>',
    '<disk type="block" device="disk"><source dev="/dev/x"/><readonly/></disk><disk type="network" device="disk"><shareable/></disk>',
  ],
  [
    "media cannot be written to",
    '<disk type="file" device="cdrom"><source file="/i.iso"/></disk><disk type="file" device="floppy"><source file="/f"/><readonly/></disk><disk type="file" device="cdrom"><target dev="sda"/></disk>',
    '<disk type="file" device="cdrom"><source file="/i.iso"/><readonly/></disk><disk type="file" device="floppy"><source file="/f"/><readonly/></disk><disk type="file" device="cdrom"><target dev="sda"/></disk>',
  ],
  [
    "a TPM and other network interfaces go",
    '<tpm model="tpm-crb"><backend type="emulator"/></tpm><interface type="network"><mac address="1"/></interface><interface type="hostdev"/>',
    "",
  ],
  [
    "fixed ports of displays are chosen by libvirt",
    '<graphics type="vnc" port="5901" autoport="no" websocket="5700"/><graphics type="spice" port="-1" tlsPort="5902"/>',
    '<graphics type="vnc" port="-1" autoport="yes" websocket="-1"/><graphics type="spice" port="-1" autoport="yes"/>',
  ],
  [
    "other displays stay; sockets get paths of their own",
    '<graphics type="vnc" port="-1" autoport="yes"/><graphics type="vnc"><listen type="socket" socket="/s"/></graphics><graphics type="sdl"/>',
    '<graphics type="vnc" port="-1" autoport="yes"/><graphics type="vnc"><listen type="socket"/></graphics><graphics type="sdl"/>',
  ],
  [
    "serial lines and consoles with an end on the host become pseudo terminals",
    '<serial type="file"><source path="/log"/><target port="0"/></serial><console type="tcp"><source mode="bind" host="::" service="1"/><protocol type="raw"/><target type="serial"/></console><serial type="pty"><log file="/l"/></serial>',
    '<serial type="pty"><target port="0"/></serial><console type="pty"><target type="serial"/></console><serial type="pty"/>',
  ],
  [
    "channels get paths of their own",
    '<channel type="unix"><source mode="bind" path="/s"/><target type="virtio" name="org.qemu.guest_agent.0"/></channel><channel type="tcp"><source host="h"/></channel><channel type="spicevmc"><target type="virtio"/></channel>',
    '<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel><channel type="unix"/><channel type="spicevmc"><target type="virtio"/></channel>',
  ],
  [
    "vsock gets a number of its own",
    '<vsock model="virtio"><cid auto="no" address="3"/></vsock>',
    '<vsock model="virtio"><cid auto="yes"/></vsock>',
  ],
  [
    "a directory of the host that can only be read stays",
    '<filesystem type="mount"><source dir="/d"/><readonly/></filesystem>',
    '<filesystem type="mount"><source dir="/d"/><readonly/></filesystem>',
  ],
  [
    "everything else stays",
    '<emulator>/q</emulator><controller type="usb" index="0"/><rng model="virtio"><backend model="random">/dev/urandom</backend></rng>',
    '<emulator>/q</emulator><controller type="usb" index="0"/><rng model="virtio"><backend model="random">/dev/urandom</backend></rng>',
  ],
];

for (const [what, before, after] of CHANGES) {
  Deno.test(`makeTemplate(): ${what}`, () => {
    assert.equal(devicesOf(domain(DISK + before)), TRANSIENT + after);
  });
}

Deno.test("makeTemplate(): each clone has firmware variables from the template, and no label", () => {
  const xml = squeeze(template(domain(
    DISK,
    '<os firmware="efi"><loader>/l</loader><nvram type="file" template="/t" templateFormat="raw"><source file="/v"/></nvram></os><seclabel type="dynamic"/><seclabel type="none" model="dac"/>',
  )));
  assert.ok(
    xml.includes(
      '<os firmware="efi"><loader>/l</loader><nvram template="/t" templateFormat="raw"/></os>',
    ),
    xml,
  );
  assert.deepEqual(xml.match(/<seclabel[^>]*>/g), ['<seclabel type="none"/>']);
  const old = template(domain(DISK, "<os><nvram>/v</nvram></os>"));
  assert.ok(old.includes("<os><nvram/></os>"), old);
});

/** Domains of which there cannot be a second one. */
const REFUSALS: [devices: string, why: RegExp][] = [
  [
    DISK + '<hostdev mode="subsystem" type="pci"><x/></hostdev>',
    /^it has a device of the host: <hostdev .*type="pci"/,
  ],
  [DISK + '<shmem name="m"/>', /^it has memory that it shares.*name="m"/],
  [
    DISK + '<filesystem><source dir="/d"/></filesystem>',
    /^it has a directory of the host that it can write to: .*\/d/,
  ],
  ["", /^it has no disk that is written to$/],
  ['<disk device="cdrom"/>', /^it has no disk that is written to$/],
  [
    DISK + '<disk type="block"><target dev="vdb"/></disk>',
    /^its disk "vdb" is of the type "block", "file" or "volume" is needed$/,
  ],
  ['<disk type="network" device="lun"/>', /^its disk "\?" is of the type/],
  [
    '<disk type="file"><driver type="raw"/><target dev="sda"/></disk>',
    /^its disk "sda" has no source$/,
  ],
  [
    '<disk type="volume"><driver type="raw"/><source pool="p"/></disk>',
    /has no source$/,
  ],
  ['<disk type="file"><source file="/f"/></disk>', /does not tell its format/],
  [
    '<disk type="file"><driver type="raw"/><source file="/f"><encryption/></source></disk>',
    /is encrypted$/,
  ],
];

for (const [devices, why] of REFUSALS) {
  Deno.test(`makeTemplate() refuses a domain: ${why.source}`, () => {
    assert.throws(() => template(domain(devices)), { message: why });
  });
}

Deno.test("makeTemplate() refuses what is no domain", () => {
  for (const text of ["<network/>", "<domain/>", "<domain>", "", "error: x"]) {
    assert.throws(() => template(text), Error, text);
  }
});

Deno.test("volumesOf() names the volumes that a domain writes to", () => {
  const volume = (name: string, more = "") =>
    `<disk type="volume"><driver type="raw"/><source pool="p" volume="${name}"/>${more}</disk>`;
  assert.deepEqual(
    volumesOf(domain(DISK + volume("a&amp;b") + volume("c", "<readonly/>"))),
    [{ pool: "p", volume: "a&b" }],
  );
});

Deno.test("pathOfVolume() takes volumes of directories only", () => {
  const volume = "<volume><target><path>/d/v</path></target></volume>";
  assert.equal(pathOfVolume('<pool type="dir"/>', volume), "/d/v");
  assert.throws(
    () => pathOfVolume('<pool type="logical"/>', volume),
    /its storage pool is of the type "logical", "dir" is needed/,
  );
  assert.throws(() => pathOfVolume('<pool type="dir"/>', "<volume/>"), /path/);
});

const CLONE = {
  name: "atex-aaaaaaaaaa-1-2",
  uuid: "11111111-2222-3333-4444-555555555555",
  port: 5100,
  address: "127.0.0.1",
  record: { id: "aaaaaaaaaa", owner: "h/b/1" },
};

Deno.test("makeClone() gives a clone its name, number, port and record", () => {
  const xml = squeeze(makeClone(
    template(domain(
      DISK,
      `<metadata><x:y xmlns:x="urn:x"/><atex:run xmlns:atex="${NAMESPACE}" id="old"/></metadata><sysinfo type="smbios"><system><entry name="uuid">1</entry><entry name="serial">2</entry></system></sysinfo>`,
    )),
    CLONE,
  ));
  for (
    const part of [
      "<name>atex-aaaaaaaaaa-1-2</name><uuid>11111111-2222-3333-4444-555555555555</uuid>",
      '<entry name="uuid">11111111-2222-3333-4444-555555555555</entry><entry name="serial">2</entry>',
      '<portForward proto="tcp" address="127.0.0.1"><range start="5100" to="22"/></portForward></interface>',
      `<metadata><x:y xmlns:x="urn:x"/><atex:run id="aaaaaaaaaa" owner="h/b/1" xmlns:atex="${NAMESPACE}"/></metadata>`,
    ]
  ) assert.ok(xml.includes(part), `${part} is not in ${xml}`);
  assert.ok(!xml.includes("origin"));
});

Deno.test("makeClone() adds what the origin does not have", () => {
  const xml = makeClone(
    template(`<domain><devices>${DISK}</devices></domain>`),
    CLONE,
  );
  assert.ok(xml.includes("<name>atex-aaaaaaaaaa-1-2</name>"));
  assert.ok(xml.includes("<uuid>11111111"));
  assert.ok(xml.includes("<metadata><atex:run"));
});

Deno.test("recordIn() gives back what was recorded, whatever it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      // deno-lint-ignore no-control-regex -- XML cannot hold these
      const owner = text.replaceAll(/[\x00-\x1f\ufffe\uffff]|\p{Cs}/gu, "");
      const xml = makeClone(template(domain(DISK)), {
        ...CLONE,
        record: { id: "a", owner },
      });
      const [element] = /<atex:run .*\/>/s.exec(xml)!;
      const record = recordIn(element)!;
      assert.equal(record.owner, owner);
      assert.equal(record.id, "a");
    }),
  );
  // As `virsh metadata` prints it.
  assert.equal(recordIn('<run id="x" owner="y"/>\n')?.owner, "y");
  for (const text of ["", "error: metadata not found", "<x/>", "<run"]) {
    assert.equal(recordIn(text), undefined);
  }
});
