import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentFailure } from '../agent-failure.js';
import type { AppCompose } from '../shared-folder/app-compose.js';

const ENGINE_TIMEOUT_MS = 10_000;

/** How to start the app: an executable with arguments, in a folder of its own. */
export interface AppCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly folder: string;
}

/**
 * Writes the app's files below `folder` and says how to run them. `pre_launch_script` is sourced first, as in dstack.
 * Throws AgentFailure `runner-unavailable` when the compose needs an engine that does not answer.
 */
export async function prepareApp(compose: AppCompose, folder: string, projectName: string): Promise<AppCommand> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const script = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o700 });
    return path;
  };
  const before = compose.pre_launch_script ? await script('pre-launch.sh', compose.pre_launch_script) : undefined;
  const source = before === undefined ? '' : 'source ./pre-launch.sh; ';
  if (compose.runner === 'bash') {
    await assertRuns('bash', ['--version'], 'runner "bash" needs bash, which does not start here');
    await script('app.sh', compose.bash_script ?? '');
    return { file: 'bash', args: ['-c', `${source}exec bash ./app.sh`], folder };
  }
  const remedy = 'install Docker Engine with the compose plugin and start it, or use runner "bash"';
  await assertRuns('docker', ['compose', 'version'], `runner "docker-compose": no docker compose here; ${remedy}`);
  await assertRuns('docker', ['info'], `runner "docker-compose": no docker engine answers here; ${remedy}`);
  await script('docker-compose.yaml', compose.docker_compose_file ?? '');
  const up = `exec docker compose --project-name ${projectName} --file docker-compose.yaml up --remove-orphans`;
  return { file: 'bash', args: ['-c', `${source}${up}`], folder };
}

async function assertRuns(file: string, args: readonly string[], failure: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    execFile(file, [...args], { timeout: ENGINE_TIMEOUT_MS }, (cause) => {
      if (cause === null) resolve();
      else reject(new AgentFailure('runner-unavailable', failure, false, { cause }));
    });
  });
}
