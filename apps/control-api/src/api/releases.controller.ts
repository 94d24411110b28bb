import { Body, Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { instanceIdentityOf, appId as toAppId } from '@vouch/domain';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { FleetFeed } from '../fleet/fleet-feed.js';
import { ProblemError } from '../problems/problem-error.js';
import { ReadModel } from '../read-model/read-model.js';
import { Mutates, Reads } from './api-description.js';
import { Mutation } from './mutation.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

@ApiTags('releases')
@Controller('v1/releases')
export class ReleasesController {
  constructor(
    private readonly mutation: Mutation,
    private readonly readModel: ReadModel,
    private readonly feed: FleetFeed,
  ) {}

  @Get()
  @Reads('List releases, newest first', answer.pageOf(answer.release))
  async list(@Query({ schema: ask.releasesQuery }) { minSeq, limit, ...filters }: z.infer<typeof ask.releasesQuery>) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.list('release', filters, limit);
  }

  @Get(':releaseId')
  @Reads('Get a release with its exact app-compose', answer.releaseInFull, 'release-unknown')
  async get(
    @Param({ schema: ask.releaseIdParam }) { releaseId }: z.infer<typeof ask.releaseIdParam>,
    @Query({ schema: ask.oneQuery }) { minSeq }: z.infer<typeof ask.oneQuery>,
  ) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.get('release', releaseId);
  }

  @Post(':releaseId/instances')
  @Mutates('Deploy one instance of a release', answer.deployAccepted, { 404: 'release-unknown, host-unknown' })
  deploy(
    @Param({ schema: ask.releaseIdParam }) { releaseId }: z.infer<typeof ask.releaseIdParam>,
    @Body({ schema: ask.deployBody }) { hostId }: z.infer<typeof ask.deployBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.mutation.run<'DeployInstance'>(
      request,
      reply,
      (operationId) => {
        const release = this.feed.view.release(releaseId);
        if (release.status === 'absent') throw releaseUnknown(releaseId);
        const appId = toAppId(release.appId);
        const identity = instanceIdentityOf(operationId, appId);
        return { type: 'DeployInstance', ...identity, appId, releaseId, hostId: hostId ?? null };
      },
      ({ instanceId }) => ({ instanceId, releaseId }),
    );
  }
}

/** The app id is part of the instance id, so the release must be known before the command can be built. */
function releaseUnknown(releaseId: string): ProblemError {
  const detail = `there is no release ${releaseId}`;
  const errors = [{ field: 'releaseId', message: detail }];
  return new ProblemError({ status: 404, code: 'release-unknown', detail, errors });
}
