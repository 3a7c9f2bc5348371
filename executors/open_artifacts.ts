import { ArtifactsWriter } from "./results.ts";

/**
 * Makes the artifacts of a test, with one entry more in their directory: all of
 * it, or nothing.
 *
 * @throws {Deno.errors.AlreadyExists} if something is there
 * @throws {Deno.errors.NotFound} if the directory does not exist
 */
export function openArtifacts(
  directory: string | URL,
  entry: string,
  make: (path: string) => void,
): ArtifactsWriter {
  const writer = ArtifactsWriter.open(directory);
  try {
    make(`${writer.directory}/${entry}`);
    return writer;
  } catch (cause) {
    writer.close();
    Deno.removeSync(`${writer.directory}/results`);
    Deno.removeSync(writer.files);
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new Deno.errors.AlreadyExists(
      `Cannot write artifacts to "${writer.directory}": "${entry}" is there already`,
      { cause },
    );
  }
}
