/** What may be named in OTEL_NODE_ENABLED_INSTRUMENTATIONS and OTEL_NODE_DISABLED_INSTRUMENTATIONS: those of the official set, whether or not something here goes by that name, and ours. */
export const INSTRUMENTATION_NAMES: readonly string[] = [
  'amqplib aws-lambda aws-sdk bunyan cassandra-driver connect cucumber dataloader dns express fastify fs generic-pool graphql grpc',
  'hapi http ioredis kafkajs knex koa lru-memoizer memcached mongodb mongoose mysql mysql2 nestjs-core net openai oracledb pg pino',
  'redis redis-4 restify router runtime-node sequelize socket.io tedious typeorm undici winston',
  '@apollo/server @hapi/hapi @koa/router @nestjs/core @nestjs/cqrs @nestjs/event-emitter @orpc/server @trpc/server @whatwg-node/server 0http elysia find-my-way h3 hono itty-router',
  'koa-router moleculer-web polka react-router async async-lock bluebird bottleneck fastq lodash lodash.debounce lodash.throttle piscina poolifier rxjs srvx tinypool',
  'workerpool aws-sqs bee-queue bull bull-sandbox bullmq bullmq-sandbox @confluentinc/kafka-javascript cron croner graphile-worker graphile-worker-sql nats nats-jetstream nest-microservices nest-schedule node-cron',
  'amqp-kept-messages node-redis-streams node-schedule pg-boss platformatic-kafka redis-streams',
].flatMap((line) => line.split(' '))
