/**
 * Does what `runBesideUpload()` does, and prints what it tells. From the first ingest on,
 * it kills itself before it changes the file system for the STEP-th time; if that is a
 * write, in the middle of it.
 */
import { dieAfter } from "../aggregators/_die_at.ts";
import { runBesideUpload, type Upload } from "./_run_beside_upload.ts";

const [root, upload, step] = Deno.args as [string, string, string];
const how: Upload = JSON.parse(upload);
console.log(await runBesideUpload(root, how, () => dieAfter(Number(step))));
