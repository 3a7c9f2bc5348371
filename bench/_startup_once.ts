/** A script without discovery, for `startup.ts`: imports, and ends. */
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { SshConnection } from "../connections/ssh.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import { PodmanProvisioner } from "../provisioners/podman.ts";

void JsonLinesAggregator;
void SshConnection;
void AdHocOrchestrator;
void PodmanProvisioner;
