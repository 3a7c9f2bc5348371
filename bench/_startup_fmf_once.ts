/** A script with discovery, for `startup.ts`: imports, and ends. */
import { JsonLinesAggregator } from "../aggregators/jsonl.ts";
import { SshConnection } from "../connections/ssh.ts";
import { discover, FmfExecutor } from "../executors/fmf/mod.ts";
import { AdHocOrchestrator } from "../orchestrators/adhoc.ts";
import { PodmanProvisioner } from "../provisioners/podman.ts";

void discover;
void FmfExecutor;
void JsonLinesAggregator;
void SshConnection;
void AdHocOrchestrator;
void PodmanProvisioner;
