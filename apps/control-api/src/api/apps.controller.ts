import { Body, Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { composeHashOf, releaseIdOf } from '@vouch/domain';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { principalOf } from '../auth/request-gate.js';
import { ReadModel } from '../read-model/read-model.js';
import { Mutates, Reads } from './api-description.js';
import { Mutation } from './mutation.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

@ApiTags('apps')
@Controller('v1/apps')
export class AppsController {
  constructor(
    private readonly mutation: Mutation,
    private readonly readModel: ReadModel,
  ) {}

  @Post()
  @Mutates('Register an app', answer.appAccepted, { 409: 'app-exists', 422: 'app-name-invalid' })
  register(
    @Body({ schema: ask.registerAppBody }) { appId, name }: z.infer<typeof ask.registerAppBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const owner = principalOf(request).name;
    const command = { type: 'RegisterApp', appId, name, owner } as const;
    return this.mutation.run<'RegisterApp'>(
      request,
      reply,
      () => command,
      () => ({ appId }),
    );
  }

  @Get()
  @Reads('List apps, newest first', answer.pageOf(answer.app))
  async list(@Query({ schema: ask.appsQuery }) { minSeq, limit, ...filters }: z.infer<typeof ask.appsQuery>) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.list('app', filters, limit);
  }

  @Get(':appId')
  @Reads('Get an app', answer.app, 'app-unknown')
  async get(
    @Param({ schema: ask.appIdParam }) { appId }: z.infer<typeof ask.appIdParam>,
    @Query({ schema: ask.oneQuery }) { minSeq }: z.infer<typeof ask.oneQuery>,
  ) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.get('app', appId);
  }

  @Post(':appId/releases')
  @Mutates('Create a release of an app', answer.releaseAccepted, {
    404: 'app-unknown',
    413: 'compose-too-large, release-too-large',
    422: 'compose-malformed, compose-invalid, release-invalid',
  })
  createRelease(
    @Param({ schema: ask.appIdParam }) { appId }: z.infer<typeof ask.appIdParam>,
    @Body({ schema: ask.createReleaseBody }) body: z.infer<typeof ask.createReleaseBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { appCompose, resources, ports = [], encryptedEnv = '' } = body;
    const composeHash = composeHashOf(new TextEncoder().encode(appCompose));
    return this.mutation.run<'CreateRelease'>(
      request,
      reply,
      (operationId) => ({
        type: 'CreateRelease',
        releaseId: releaseIdOf(operationId),
        appId,
        appCompose,
        resources,
        ports,
        encryptedEnv,
      }),
      ({ releaseId }) => ({ appId, releaseId, composeHash }),
    );
  }
}
