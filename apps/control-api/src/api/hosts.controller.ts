import { Body, Controller, Get, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { ControlApiConfig } from '../config/control-api-config.js';
import { ProblemError } from '../problems/problem-error.js';
import { ReadModel } from '../read-model/read-model.js';
import { CONTROL_API_CONFIG } from '../tokens.js';
import { Mutates, Reads } from './api-description.js';
import { Mutation } from './mutation.js';
import * as ask from './request-schemas.js';
import * as answer from './response-schemas.js';

type HostId = z.infer<typeof ask.hostIdParam>;

@ApiTags('hosts')
@Controller('v1/hosts')
export class HostsController {
  constructor(
    private readonly mutation: Mutation,
    private readonly readModel: ReadModel,
    @Inject(CONTROL_API_CONFIG) private readonly config: ControlApiConfig,
  ) {}

  @Post()
  @Mutates('Register a host', answer.hostAccepted, { 409: 'host-exists', 422: 'unsafe-refused' })
  register(
    @Body({ schema: ask.registerHostBody }) body: z.infer<typeof ask.registerHostBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { hostId, driver, capacity } = body;
    if (driver === 'process' && this.config.mode === 'production') throw processDriverRefused();
    const unsafe = driver === 'process' ? ['unsafeProcessGuest'] : [];
    return this.mutation.run<'RegisterHost'>(
      request,
      reply,
      () => ({ type: 'RegisterHost', hostId, driver, capacity, unsafe }),
      () => ({ hostId }),
    );
  }

  @Get()
  @Reads('List hosts', answer.pageOf(answer.host))
  async list(@Query({ schema: ask.hostsQuery }) { minSeq, limit }: z.infer<typeof ask.hostsQuery>) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.list('host', {}, limit);
  }

  @Get(':hostId')
  @Reads('Get a host', answer.host, 'host-unknown')
  async get(
    @Param({ schema: ask.hostIdParam }) { hostId }: HostId,
    @Query({ schema: ask.oneQuery }) { minSeq }: z.infer<typeof ask.oneQuery>,
  ) {
    await this.readModel.waitFor(minSeq);
    return await this.readModel.get('host', hostId);
  }

  @Post(':hostId/cordon')
  @Mutates('Place nothing new on a host; its guests stay', answer.hostAccepted, { 404: 'host-unknown' })
  cordon(
    @Param({ schema: ask.hostIdParam }) { hostId }: HostId,
    @Body({ schema: ask.cordonBody }) { reason }: z.infer<typeof ask.cordonBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.mutation.run<'CordonHost'>(
      request,
      reply,
      () => ({ type: 'CordonHost', hostId, reason }),
      () => ({ hostId }),
    );
  }

  @Post(':hostId/uncordon')
  @Mutates('Allow placements on a host again', answer.hostAccepted, { 404: 'host-unknown' })
  uncordon(
    @Param({ schema: ask.hostIdParam }) { hostId }: HostId,
    @Body({ schema: ask.emptyBody }) _body: z.infer<typeof ask.emptyBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    return this.mutation.run<'UncordonHost'>(
      request,
      reply,
      () => ({ type: 'UncordonHost', hostId }),
      () => ({ hostId }),
    );
  }
}

function processDriverRefused(): ProblemError {
  const message = 'the process driver isolates nothing and is refused in production; use qemu';
  const errors = [{ field: 'driver', message }];
  return new ProblemError({ status: 422, code: 'unsafe-refused', detail: message, errors });
}
